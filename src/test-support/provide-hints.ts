import { provideHints } from '../result/hint-of.js';
import { HINTS } from '../result/hints.js';

// Every test sees errors as they are once the hints are there.
provideHints(HINTS);
