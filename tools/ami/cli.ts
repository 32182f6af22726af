import { runProgram } from '../common/run-program.js';

await runProgram({
  name: 'tee-ami',
  description: 'Make attestable AMIs of disk images, and remove them',
  commands: {
    create: async () => (await import('./create-command.js')).createCommand(),
    delete: async () => (await import('./delete-command.js')).deleteCommand(),
  },
});
