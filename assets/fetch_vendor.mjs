/* Copies the front-end files that the board serves into assets/vendor; run by npm after `npm ci`. */
import {copyFileSync, mkdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, '..', 'node_modules');
const font = (name, script, weight) => `@fontsource/${name}/files/${name}-${script}-${weight}-normal.woff2`;
const wanted = {
  'bootstrap.min.css': 'bootstrap/dist/css/bootstrap.min.css',
  'bootstrap.rtl.min.css': 'bootstrap/dist/css/bootstrap.rtl.min.css',
  'plotly-basic.min.js': 'plotly.js-basic-dist-min/plotly-basic.min.js',
  'devanagari-400.woff2': font('noto-sans-devanagari', 'devanagari', 400),
  'devanagari-600.woff2': font('noto-sans-devanagari', 'devanagari', 600),
  'arabic-400.woff2': font('noto-naskh-arabic', 'arabic', 400),
  'arabic-600.woff2': font('noto-naskh-arabic', 'arabic', 600),
};

mkdirSync(join(here, 'vendor'), {recursive: true});
for (const [name, source] of Object.entries(wanted)) copyFileSync(join(modules, source), join(here, 'vendor', name));
