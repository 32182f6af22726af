#!/usr/bin/env node
import '../../dist/tee-ami.js';
