#!/usr/bin/env node
import '../../dist/tee-image.js';
