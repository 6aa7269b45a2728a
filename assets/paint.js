/* Writes the newest state into what the server drew: tiles, rows, alarms, feeds, map, charts. Called by wire.js. */
(() => {
  'use strict';
  const board = window.townboard;
  const {_, n_, STATES, SEVERITY, PRIORITIES, number, age, now, hms, clock, localText, when, whenShort, old, completeness, detail, trend, corrected, coverage, reason, count} = board;
  const URGENT = ['critical', 'high'];
  const FRESH_MS = 500, fresh = new Map();
  let painting = 0, charting = 0;

  const text = (node, words) => { if (node && node.textContent !== words) node.textContent = words; };
  const mark = (node, name, value) => { if (node && node.dataset[name] !== value) node.dataset[name] = value; };
  const field = (node, name) => node.querySelector(`[data-f="${name}"]`);
  const all = (selector) => document.querySelectorAll(selector);
  /* What stands for a time past is never overwritten with what is known now. */
  const current = (selector) => [...all(selector)].filter((node) => !node.closest('[data-past]'));
  const make = (tag, className, words, data = {}) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (words !== undefined) node.textContent = words;
    Object.assign(node.dataset, data);
    return node;
  };

  /* Old data never looks live: past its interval a value is late, past three stale, whatever the server last said. */
  const aged = (row, everySeconds) => {
    const due = Math.max(everySeconds || 0, row.every_s || 0);
    if (row.value === null || row.value === undefined || !row.as_of || !due) return row.status;
    const late = (now() - new Date(row.as_of)) / 1000 / due;
    if (late > 3) return 'stale';
    return late > 1 && row.status === 'good' ? 'late' : row.status;
  };

  /* The same markup as components/drawing.py draws first. */
  const svg = (body) => `<svg class="spark-svg" viewBox="0 0 120 28" preserveAspectRatio="none" aria-hidden="true">${body}</svg>`;
  const sparkline = (values, target) => {
    const known = (values || []).filter((v) => v !== null);
    if (known.length < 2) return '';
    let low = Math.min(...known), high = Math.max(...known);
    const reach = high - low, near = target !== null && target !== undefined && low - reach <= target && target <= high + reach;
    if (near) { low = Math.min(low, target); high = Math.max(high, target); }
    const y = (v) => (25 - 22 * (v - low) / ((high - low) || 1)).toFixed(1), step = 116 / Math.max(1, values.length - 1);
    let path = '', pen = 'M';
    values.forEach((v, i) => { if (v === null) pen = 'M'; else { path += `${pen}${(2 + i * step).toFixed(1)} ${y(v)}`; pen = 'L'; } });
    return svg((near ? `<path class="spark-target" d="M0 ${y(target)}H120"/>` : '') + `<path class="spark-line" d="${path}"/>`);
  };
  const sparkbars = (values, target) => {
    const shown = (values || []).slice(-12), known = shown.filter((v) => v !== null);
    if (known.length < 2) return '';
    const top = Math.max(...known.map(Math.abs), Math.abs(target || 0)) || 1, step = Math.min(20, 120 / shown.length);
    const y = (v) => (28 - 26 * Math.abs(v) / top).toFixed(1);
    const bars = shown.map((v, i) => v === null ? '' : `<path class="spark-bar" d="M${(i * step + 1).toFixed(1)} 28h${(step - 2).toFixed(1)}V${y(v)}h-${(step - 2).toFixed(1)}Z"/>`);
    return svg(bars.join('') + (target === null || target === undefined ? '' : `<path class="spark-target" d="M0 ${y(target)}H120"/>`));
  };

  const paintKpi = (node) => {
    const row = board.state.kpis[node.dataset.kpi];
    if (!row) return;
    const status = aged(row, +node.dataset.every), value = field(node, 'value'), shown = number(row.value, row.decimals);
    if (node._row === row && node.dataset.state === status && (!value || value.textContent === shown)) return;   // ages are the clock's
    node._row = row;
    mark(node, 'state', status);
    for (const chip of node.querySelectorAll('.chip')) { mark(chip, 'state', status); text(chip, STATES[status] || status); }
    if (value && value.textContent !== shown) { value.textContent = shown; value.classList.add('fresh-value'); fresh.set(value, performance.now()); }
    text(field(node, 'trend'), trend(row));
    text(field(node, 'when'), when(row, status));
    text(field(node, 'coverage'), node.tagName !== 'TR' ? completeness(row) : row.coverage === null || row.coverage === undefined ? '–' : coverage(row.coverage));
    text(field(node, 'corrected'), corrected(row, node.dataset.unit || ''));
    text(field(node, 'when-short'), whenShort(row, status));
    text(field(node, 'old'), row.as_of ? old(row) : '');
    text(field(node, 'coverage-short'), row.coverage === null || row.coverage === undefined ? '' : _('{n} % arrived', {n: number(Math.floor(row.coverage * 100), 0)}));
    text(field(node, 'why'), row.value === null ? reason(row) : detail(row, board.state));
    text(field(node, 'why-short'), row.value === null ? reason(row).split(';')[0] : '');
    const fraction = field(node, 'fraction');
    if (fraction && row.denominator !== null && row.denominator !== undefined) text(fraction, `${number(row.numerator, 2)} / ${number(row.denominator, 2)}`);
    const used = field(node, 'used');
    if (used && row.n !== null && row.n !== undefined) text(used, row.n_expected ? _('{n} of {expected} expected; {missing} did not arrive or were set aside', {n: number(row.n, 0), expected: number(row.n_expected, 0), missing: number(Math.max(0, row.n_expected - row.n), 0)}) : number(row.n, 0));
    if (row.window_start) text(field(node, 'window'), _('{start} to {end}', {start: clock(row.window_start), end: clock(row.window_end)}));
    const spark = field(node, 'spark'), drawn = spark && row.spark && (node.dataset.bars ? sparkbars : sparkline)(row.spark, row.target);
    if (drawn && spark._drawn !== drawn) { spark._drawn = drawn; spark.innerHTML = drawn; }
    const bar = field(node, 'bar'), top = bar && +node.closest('[data-top]').dataset.top;
    if (bar) { const width = row.value === null ? '0%' : `${Math.min(100, 100 * Math.abs(row.value) / top).toFixed(1)}%`; if (bar.style.width !== width) bar.style.width = width; }
    if (node.dataset.title) {
      const words = row.value === null ? _('{title}: no value, {reason}.', {title: node.dataset.title, reason: reason(row)}) : spoken(node, row, status);
      if (node.getAttribute('aria-label') !== words) node.setAttribute('aria-label', words);
    }
  };
  const spoken = (node, row, status) => {
    const told = [node.dataset.title, `${number(row.value, row.decimals)} ${node.dataset.unit || ''}`.trim()];
    if (row.target !== null && row.better !== 'context') {
      const limit = number(row.target, Number.isInteger(row.target) ? 0 : Math.max(1, row.decimals));
      told.push(row.value === row.target ? _('at the target of {limit}', {limit}) : row.value < row.target ? _('below the target of {limit}', {limit}) : _('above the target of {limit}', {limit}));
    }
    if (when(row)) told.push(when(row));
    if (status === 'stale') told.push(_('stale'));
    return told.join(_(', ')) + _('.');
  };

  /* The state, and of how many alarms alone it comes: components/shell.py says the same. */
  const standing = (domain, headlines) => {
    const found = headlines.split(' ').map((k) => board.state.kpis[`${k}|town`]?.status).filter((s) => s && s !== 'context');
    const figures = SEVERITY.find((s) => found.includes(s)) || 'no data';
    const active = board.state.alarms.filter((a) => a.domain === domain && a.active), urgent = active.filter((a) => URGENT.includes(a.priority)).length;
    const [called, alarms] = urgent ? ['breach', urgent] : ['watch', active.length];
    return alarms && SEVERITY.indexOf(called) < SEVERITY.indexOf(figures) ? [called, alarms] : [figures, 0];
  };
  const paintStanding = (node) => {
    const [status, alarms] = standing(node.dataset.standing, node.dataset.headlines || '');
    const words = alarms ? _('{state}: {why}', {state: STATES[status], why: count(alarms, 'alarm')}) : STATES[status];
    if (node.classList.contains('chip')) { mark(node, 'state', status); text(node, words); return; }
    const shape = node.querySelector('.mark-only');
    mark(shape, 'state', status);
    if (shape && shape.title !== words) shape.title = words;
    text(field(node, 'word'), `, ${words.toLowerCase()}`);
  };

  // ---- map ---------------------------------------------------------------------------------------------------
  const MARKS = {good: 'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0', late: 'M0-8L8 0L0 8L-8 0Z', stale: 'M-7-7L7 7M7-7L-7 7',
    'no data': 'M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0', alarm: 'M0-15L14 10H-14Z'};
  const paintMap = (map) => {
    const kpi = map.dataset.map, active = board.state.alarms.filter((a) => a.active), table = map.parentElement.querySelector('.map-table'), found = {};
    for (const ward of map.querySelectorAll('[data-ward]')) {
      const id = ward.dataset.ward, row = kpi && board.state.kpis[`${kpi}|ward:${id}`], here = active.filter((a) => a.ward === id);
      const worst = PRIORITIES.find((p) => here.some((a) => a.priority === p));
      const status = kpi ? (row ? row.status : 'no data') : worst ? (worst === 'critical' || worst === 'high' ? 'breach' : 'watch') : 'good';
      mark(ward, 'state', status);
      found[status] = (found[status] || 0) + 1;
      const line = table?.querySelector(`[data-ward-row="${CSS.escape(id)}"]`), chip = line?.querySelector('.chip');
      if (line) { mark(chip, 'state', status); text(chip, STATES[status]); text(field(line, 'map-value'), kpi ? (row ? number(row.value, row.decimals) : '–') : number(here.length, 0)); }
      const words = `${ward.dataset.name}: ` + (kpi ? `${row && row.value !== null ? number(row.value, row.decimals) : _('no value')}, ${STATES[status].toLowerCase()}` : count(here.length, 'active alarm'));
      if (ward.getAttribute('aria-label') !== words) { ward.setAttribute('aria-label', words); text(ward.querySelector('title'), words); }
      if (kpi) text(map.querySelector(`[data-ward-value="${CSS.escape(id)}"]`), row ? number(row.value, row.decimals) : '–');
    }
    const drawn = map.querySelector('svg'), of = (status) => number(found[status] || 0, 0), told = n_('Map of {n} ward: {breach} in breach, {watch} on watch, {unknown} without figures.',
      'Map of {n} wards: {breach} in breach, {watch} on watch, {unknown} without figures.', map.querySelectorAll('[data-ward]').length, {breach: of('breach'), watch: of('watch'), unknown: of('no data')});
    if (drawn && drawn.getAttribute('aria-label') !== told) drawn.setAttribute('aria-label', told);
    for (const node of map.querySelectorAll('[data-asset]')) {
      const a = board.state.assets[node.dataset.asset];
      if (!a) continue;
      const look = a.alarm ? 'alarm' : a.state || 'no data';
      mark(node, 'priority', a.alarm || '');
      if (node.dataset.look === look) continue;
      node.dataset.look = look;
      node.lastElementChild.setAttribute('d', MARKS[look] || MARKS.good);
      const words = `${node.dataset.name}, ${(STATES[a.state] || '').toLowerCase()}` + (a.alarm ? _(', {priority} alarm', {priority: _(a.alarm)}) : '');
      node.setAttribute('aria-label', words);
      text(node.querySelector('title'), words);
    }
  };
  const paintAssetRow = (node) => {
    const a = board.state.assets[node.dataset.assetRow];
    if (!a) return;
    const status = a.alarm ? 'alarm' : a.state, chip = field(node, 'asset-state');
    mark(chip, 'state', status);
    text(chip, STATES[status] || status);
    const newest = Object.values(a.latest || {}).map((r) => r[1]).filter(Boolean).sort().pop(), old = node.querySelector('[data-age]');
    if (old && newest && newest > old.dataset.age) old.dataset.age = newest;
  };

  // ---- charts: one per task, only those in view, only when a point is new --------------------------------------
  const inView = (node) => { const r = node.getBoundingClientRect(); return r.width > 0 && r.bottom > 0 && r.top < innerHeight; };
  /* The axes were drawn for what was known then; what lies beyond makes them follow what is there. */
  const widen = ({layout: {xaxis, yaxis}}, at, value) => {
    if (at > xaxis.range[1]) xaxis.autorange = true;
    if (value < yaxis.range[0] || value > yaxis.range[1]) Object.assign(yaxis, {autorange: true, tickmode: 'auto', nticks: 5});
  };
  const feedCharts = () => {
    charting = 0;
    if (document.hidden || !board.state || !window.Plotly) return;
    for (const box of all('[data-chart]')) {
      const plot = box.querySelector('.js-plotly-plot'), row = board.state.kpis[box.dataset.chart];
      if (!plot || !plot.data || !plot.data[0] || !row || row.value === null || !row.window_start) continue;
      const trace = plot.data[0], at = localText(box.dataset.at === 'end' ? row.window_end : row.window_start), last = trace.x[trace.x.length - 1];
      if (at < last || (at === last && trace.y[trace.y.length - 1] === row.value) || !inView(box)) continue;   // where it stands is asked last: it lays the page out
      widen(plot, at, row.value);
      if (at > last) Plotly.extendTraces(plot, {x: [[at]], y: [[row.value]]}, [0]);
      else {
        const y = [...trace.y]; y[y.length - 1] = row.value;
        Plotly.react(plot, [{...trace, x: [...trace.x], y}, ...plot.data.slice(1)], plot.layout);   // restyle would drop the axis type
      }
      charting = setTimeout(feedCharts, 30);
      return;
    }
  };

  /* What has changed is marked until the clock's next turn but one, on and off in one go: what fades is painted sixty times a second. */
  const fade = () => {
    for (const [node, at] of fresh) if (performance.now() - at > FRESH_MS) { node.classList.remove('fresh-value'); fresh.delete(node); }
  };

  // ---- one painting -------------------------------------------------------------------------------------------
  const paint = () => {
    painting = 0;
    board.dressPage();
    if (document.hidden || !board.state) return;
    current('[data-kpi]').forEach(paintKpi);
    current('[data-standing]').forEach(paintStanding);
    for (const [selector, painter] of board.painters) all(selector).forEach(painter);
    current('[data-map]').filter((map) => !map.closest('[hidden]')).forEach(paintMap);
    all('[data-asset-row]').forEach(paintAssetRow);
    all('[data-f="built"]').forEach((n) => text(n, board.state.built_at ? hms(new Date(board.state.built_at)) : _('nothing yet')));
    all('[data-f="first"]').forEach((n) => { n.hidden = true; });
    if (!charting) charting = setTimeout(feedCharts, 0);
  };
  const soon = () => { if (!painting) painting = setTimeout(paint, 30); };

  const tick = () => {
    all('[data-f="now"]').forEach((n) => text(n, hms(now())));
    fade();
    all('[data-age]').forEach((n) => text(n, age(now() - new Date(n.dataset.age))));
    if (board.state && !document.hidden) {
      for (const node of current('[data-kpi]')) {
        const row = board.state.kpis[node.dataset.kpi];
        if (!row) continue;
        text(field(node, 'when'), when(row, node.dataset.state));
        text(field(node, 'when-short'), whenShort(row, node.dataset.state));
        text(field(node, 'old'), row.as_of ? old(row) : '');
      }
      for (const node of all('[data-feed]')) {
        const f = board.state.feeds[node.dataset.feed];
        if (f?.last_arrival) text(field(node, 'arrived'), _('{age} ago', {age: age(now() - new Date(f.last_arrival))}));
      }
    }
    board.badge();
  };
  addEventListener('scroll', () => { if (!charting) charting = setTimeout(feedCharts, 120); }, {passive: true});
  Object.assign(board, {soon, tick, mark, text, all, make, field, painters: []});
})();
