/* Copies the front-end files that the board serves into assets/vendor; run by npm after `npm ci`. */
import {copyFileSync, mkdirSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {PurgeCSS} from 'purgecss';

const here = dirname(fileURLToPath(import.meta.url)), root = join(here, '..');
const modules = join(root, 'node_modules'), vendor = join(here, 'vendor');
const font = (name, script, weight) => `@fontsource/${name}/files/${name}-${script}-${weight}-normal.woff2`;
const wanted = {
  'plotly-basic.min.js': 'plotly.js-basic-dist-min/plotly-basic.min.js',
  'devanagari-400.woff2': font('noto-sans-devanagari', 'devanagari', 400),
  'devanagari-600.woff2': font('noto-sans-devanagari', 'devanagari', 600),
  'arabic-400.woff2': font('noto-naskh-arabic', 'arabic', 400),
  'arabic-600.woff2': font('noto-naskh-arabic', 'arabic', 600),
};
/* Of Bootstrap's 230 kB the pages use a fortieth; what no page names is left out, so that the rest can stand in the page. */
const sheets = ['bootstrap.min.css', 'bootstrap.rtl.min.css'];
const content = ['components/**/*.py', 'components/templates/**/*', 'pages/*.py', 'assets/*.js', 'assets/plain/*.js'].map((place) => join(root, place));
const byDash = ['form-select', 'form-select-sm', 'form-control', 'form-control-sm'];   // dash-bootstrap-components writes these

mkdirSync(vendor, {recursive: true});
for (const [name, source] of Object.entries(wanted)) copyFileSync(join(modules, source), join(vendor, name));
for (const name of sheets) {
  const css = [join(modules, 'bootstrap/dist/css', name)];
  const [{css: kept}] = await new PurgeCSS().purge({content, css, safelist: byDash, variables: true, keyframes: true, fontFace: true});
  writeFileSync(join(vendor, name), kept);
}
