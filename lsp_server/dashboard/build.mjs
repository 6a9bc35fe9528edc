// Makes built/ from src/: one page, one bundle for it, and Monaco in a bundle of its own that the
// playground loads. The same sources give the same bytes, so built/ can be committed and compared.
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, 'built'));
const PACKAGES = [
  ['preact', 'LICENSE'],
  ['@preact/signals', 'LICENSE'],
  ['@preact/signals-core', 'LICENSE'],
  ['monaco-editor', 'LICENSE'],
  ['monaco-editor', 'ThirdPartyNotices.txt'],
  ['@fontsource-variable/inter', 'LICENSE'],
  ['@fontsource-variable/jetbrains-mono', 'LICENSE'],
];

async function bundle(entry, defines = {}) {
  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints: [entry],
    outdir: out,
    bundle: true,
    format: 'esm',
    target: ['chrome111', 'firefox115', 'safari16.4'],
    minify: true,
    legalComments: 'none', // licences.txt holds them
    charset: 'utf8',
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    loader: { '.ttf': 'file', '.woff2': 'file', '.svg': 'file' },
    define: Object.fromEntries(Object.entries(defines).map(([k, v]) => [k, JSON.stringify(v)])),
    jsx: 'automatic',
    jsxImportSource: 'preact',
    metafile: true,
    logLevel: 'warning',
  });
  const made = Object.keys(metafile.outputs).map((path) => basename(path));
  const stem = basename(entry).replace(/\.\w+$/, '');
  const named = (extension) => made.find((n) => n.startsWith(`${stem}-`) && n.endsWith(extension));
  return { script: named('.js'), style: named('.css') };
}

/** The digest of everything that built/ is made from; a test compares it. */
async function digest() {
  const listed = await readdir(join(here, 'src'), { recursive: true, withFileTypes: true });
  const sources = listed
    .filter((entry) => entry.isFile())
    .map((entry) => relative(here, join(entry.parentPath, entry.name)).split(sep).join('/'));
  const hash = createHash('sha256');
  for (const name of [...sources, 'build.mjs', 'package-lock.json'].sort()) {
    hash.update(`${name}\0`).update(await readFile(join(here, name))).update('\0');
  }
  return hash.digest('hex');
}

async function licences() {
  const texts = [];
  for (const [name, file] of PACKAGES) {
    const folder = join(here, 'node_modules', name);
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const text = (await readFile(join(folder, file), 'utf8')).replace(/\r\n/g, '\n').trim();
    texts.push(`${name} ${version}: ${file}\n\n${text}\n`);
  }
  return texts.join(`\n${'-'.repeat(79)}\n\n`);
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const worker = await bundle('src/editor/editor.worker.ts');
const monaco = await bundle('src/editor/monaco.ts');
const main = await bundle('src/main.tsx', {
  MONACO_SCRIPT: `./${monaco.script}`,
  MONACO_STYLE: `./${monaco.style}`,
  MONACO_WORKER: `./${worker.script}`,
});
const theme = await bundle('src/early.ts');
const page = (await readFile(join(here, 'src/index.html'), 'utf8'))
  .replace('EARLY', theme.script)
  .replace('STYLE', main.style)
  .replace('SCRIPT', main.script);
await writeFile(join(out, 'index.html'), page);
await writeFile(join(out, 'licences.txt'), await licences());
await writeFile(join(out, 'sources.sha256'), `${await digest()}\n`);
