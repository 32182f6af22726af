#!/usr/bin/env node
import '../../dist/tee-attest.js';
