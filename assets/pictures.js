/* Pictures on a page: asked for again while they are in view, written only where they changed; saved as PNG with title and source. */
(() => {
  'use strict';
  const board = window.townboard;
  const {_, all, native} = board;
  const inView = (node) => { const r = node.getBoundingClientRect(); return r.width > 0 && r.bottom > -80 && r.top < innerHeight + 80; };
  const state = new WeakMap();
  let asking = false;

  /* Only the parts that say something else are written, and none that somebody reads by pointer or keyboard. */
  const write = (panel, body) => {
    const fresh = document.createElement('template');
    fresh.innerHTML = body;
    for (const part of fresh.content.querySelectorAll('[data-part]')) {
      const old = panel.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!old || old.contains(document.activeElement) || old.outerHTML === part.outerHTML) continue;
      if (part.dataset.part === 'table' && old.matches(':hover')) continue;
      if (old.tagName !== part.tagName || part.dataset.part === 'drawn') {
        const left = old.scrollLeft;
        old.replaceWith(part);
        part.scrollLeft = left;
      } else old.innerHTML = part.innerHTML;
    }
  };
  const ask = async (panel, known) => {
    const answer = await fetch(panel.dataset.picture, {headers: known.tag ? {'If-None-Match': known.tag} : {}, cache: 'no-store'});
    known.at = performance.now();
    if (answer.status !== 200) return;
    known.tag = answer.headers.get('etag');
    const body = await answer.text();
    if (panel.isConnected) write(panel, body);
  };
  /* One at a time, the one that waits longest first; nothing while nobody looks. */
  const look = async () => {
    if (asking || document.hidden || board.mode === 'wait') return;
    const due = [...all('[data-picture]')].filter(inView).map((panel) => {
      const known = state.get(panel) || {at: performance.now(), tag: null};
      state.set(panel, known);
      return [performance.now() - known.at - 1000 * panel.dataset.every, panel, known];
    }).filter(([late]) => late >= 0).sort((a, b) => b[0] - a[0]);
    if (!due.length) return;
    asking = true;
    try { await ask(due[0][1], due[0][2]); } catch { due[0][2].at = performance.now(); } finally { asking = false; }
  };
  setInterval(look, 1000);

  // ---- saving as PNG ------------------------------------------------------------------------------------------------
  const SHOWN = ['fill', 'fill-opacity', 'stroke', 'stroke-opacity', 'visibility', 'display', 'stroke-width', 'stroke-dasharray', 'stroke-linejoin', 'opacity', 'font-size', 'font-weight', 'font-family', 'text-anchor',
    'paint-order', 'vector-effect', 'direction'];
  /* An address within the page is one within the picture too. */
  const local = (value) => value.replaceAll(/url\(["']?[^#)"']*#([^)"']+)["']?\)/g, 'url(#$1)').replaceAll('"', "'");
  const dressed = (from, to) => {
    const look = getComputedStyle(from);
    to.setAttribute('style', SHOWN.map((name) => `${name}:${local(look.getPropertyValue(name))}`).join(';'));
    [...from.children].forEach((child, i) => to.children[i] && dressed(child, to.children[i]));
  };
  const picture = (svg, width, height) => new Promise((done, failed) => {
    const copy = svg.cloneNode(true), patterns = document.querySelector('.d-patterns defs');
    dressed(svg, copy);
    copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
    copy.setAttribute('width', width);
    copy.setAttribute('height', height);
    if (patterns) { const defs = patterns.cloneNode(true); dressed(patterns, defs); copy.prepend(defs); }
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = failed;
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  });
  const wrapped = (pen, words, width) => {
    const lines = [''];
    for (const word of words.split(/\s+/)) {
      const longer = `${lines[lines.length - 1]} ${word}`.trim();
      if (pen.measureText(longer).width > width && lines[lines.length - 1]) lines.push(word); else lines[lines.length - 1] = longer;
    }
    return lines;
  };
  /* Title, what it shows, the drawing, then source, town and time: whoever gets the picture knows what it is. */
  const sheet = (layers, size, words) => {
    const scale = 2, edge = 24, wide = size.width + 2 * edge, canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
    const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const face = getComputedStyle(document.body).fontFamily, rtl = document.dir === 'rtl' || document.documentElement.dir === 'rtl';
    const fonts = {title: `650 18px ${face}`, text: `400 13px ${face}`};
    pen.font = fonts.text;
    const said = words.said ? wrapped(pen, words.said, size.width) : [], foot = wrapped(pen, words.foot, size.width);
    const high = edge + 26 + said.length * 19 + 12 + size.height + 16 + foot.length * 18 + edge;
    canvas.width = wide * scale;
    canvas.height = high * scale;
    pen.scale(scale, scale);
    pen.fillStyle = ink('--raised');
    pen.fillRect(0, 0, wide, high);
    pen.direction = rtl ? 'rtl' : 'ltr';
    const x = rtl ? wide - edge : edge;
    let y = edge + 14;
    const line = (text, font, colour, step) => { pen.font = font; pen.fillStyle = ink(colour); pen.fillText(text, x, y); y += step; };
    line(words.title, fonts.title, '--ink', 24);
    for (const text of said) line(text, fonts.text, '--ink-2', 19);
    y += 4;
    for (const layer of layers) pen.drawImage(layer, edge, y, size.width, size.height);
    y += size.height + 24;
    for (const text of foot) line(text, fonts.text, '--ink-2', 18);
    return canvas;
  };
  const give = (canvas, name) => canvas.toBlob((blob) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `${name}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, 'image/png');
  const foot = (source, fresh) => [source && _('Source: {source}', {source}), fresh, document.querySelector('.top .town')?.textContent, native(board.localText(board.now()).slice(0, 16).replace('T', ' '))]
    .filter(Boolean).join(' · ');
  const words = (node) => node?.textContent.trim().replace(/\s+/g, ' ') || '';
  const savePanel = async (panel) => {
    const svg = panel.querySelector('.drawn svg'), box = svg.getBoundingClientRect();
    const image = await picture(svg, box.width, box.height);
    give(sheet([image], box, {title: words(panel.querySelector('h2')), said: words(panel.querySelector('[data-part=said]')),
      foot: foot(words(panel.querySelector('.d-source')), words(panel.querySelector('[data-part=facts]')))}), panel.dataset.file);
  };
  const saveChart = async (panel) => {
    const layers = [...panel.querySelectorAll('.js-plotly-plot svg.main-svg')], box = layers[0].getBoundingClientRect();
    const images = await Promise.all(layers.map((svg) => picture(svg, box.width, box.height))), head = panel.querySelector('.panel-head');
    give(sheet(images, box, {title: words(head.querySelector('h3,h2')), said: words(head.querySelector('.sub')), foot: foot(panel.dataset.source, '')}), panel.dataset.file || 'chart');
  };
  document.addEventListener('click', (e) => {
    const button = e.target.closest?.('[data-save]'), panel = button?.closest('.panel');
    if (!panel) return;
    const saved = panel.querySelector('.drawn svg') ? savePanel(panel) : panel.querySelector('.chart') ? board.drawChart(panel.querySelector('.chart')).then(() => saveChart(panel)) : null;
    saved?.catch(() => { button.textContent = _('This browser could not write the picture.'); });
  });
  /* A sheet of paper is narrower than the screen: charts are drawn anew for it, and for the screen again. */
  const charts = (size) => { if (window.Plotly) for (const plot of all('.js-plotly-plot')) Plotly.relayout(plot, size); };
  addEventListener('beforeprint', () => charts({autosize: false, width: 640, height: 210}));
  addEventListener('afterprint', () => charts({autosize: true, width: undefined, height: undefined}));
})();
