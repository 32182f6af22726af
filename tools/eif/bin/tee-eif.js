#!/usr/bin/env node
import '../../dist/tee-eif.js';
