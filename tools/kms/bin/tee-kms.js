#!/usr/bin/env node
import '../../dist/tee-kms.js';
