// Bundles the extension into dist/extension.js, and with --tests the tests that run inside VS Code.
import { build } from 'esbuild';

const isProduction = process.argv.includes('--production');
const common = { bundle: true, platform: 'node', format: 'cjs', target: 'node20', external: ['vscode'] };

await build({
  ...common,
  entryPoints: ['src/extension.ts'],
  outfile: 'dist/extension.js',
  minify: isProduction,
  sourcemap: !isProduction,
});
if (process.argv.includes('--tests')) {
  await build({
    ...common,
    // Mocha finds its own files beside itself.
    external: ['vscode', 'mocha'],
    entryPoints: ['host-tests/index.ts'],
    outfile: 'dist/host-tests.js',
    sourcemap: true,
  });
}
