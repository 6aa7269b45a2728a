/* Copies the front-end files that the board serves into assets/vendor; run by npm after `npm ci`. */
import {copyFileSync, mkdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, '..', 'node_modules');
const wanted = {
  'bootstrap.min.css': 'bootstrap/dist/css/bootstrap.min.css',
  'plotly-basic.min.js': 'plotly.js-basic-dist-min/plotly-basic.min.js',
};

mkdirSync(join(here, 'vendor'), {recursive: true});
for (const [name, source] of Object.entries(wanted)) copyFileSync(join(modules, source), join(here, 'vendor', name));
