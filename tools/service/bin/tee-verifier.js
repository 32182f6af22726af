#!/usr/bin/env node
import '../../dist/tee-verifier.js';
