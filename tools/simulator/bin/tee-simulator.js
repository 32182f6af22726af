#!/usr/bin/env node
import '../../dist/tee-simulator.js';
