/* Writes the newest state into what the server drew: tiles, rows, alarms, feeds, map, charts. Called by wire.js. */
(() => {
  'use strict';
  const board = window.townboard;
  const {STATES, SEVERITY, PRIORITIES, number, age, now, hms, clock, localText, trend, coverage, reason, count} = board;
  let painting = 0, charting = 0;

  const text = (node, words) => { if (node && node.textContent !== words) node.textContent = words; };
  const mark = (node, name, value) => { if (node && node.dataset[name] !== value) node.dataset[name] = value; };
  const field = (node, name) => node.querySelector(`[data-f="${name}"]`);
  const all = (selector) => document.querySelectorAll(selector);
  const make = (tag, className, words, data = {}) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (words !== undefined) node.textContent = words;
    Object.assign(node.dataset, data);
    return node;
  };

  /* Old data never looks live: past its interval a value is late, past three stale, whatever the server last said. */
  const aged = (row, everySeconds) => {
    if (row.value === null || row.value === undefined || !row.as_of || !everySeconds) return row.status;
    const late = (now() - new Date(row.as_of)) / 1000 / everySeconds;
    if (late > 3) return 'stale';
    return late > 1 && row.status === 'good' ? 'late' : row.status;
  };

  const sparkline = (values, target) => {
    const known = (values || []).filter((v) => v !== null);
    if (known.length < 2) return '';
    let low = Math.min(...known), high = Math.max(...known);
    const reach = high - low, near = target !== null && target !== undefined && low - reach <= target && target <= high + reach;
    if (near) { low = Math.min(low, target); high = Math.max(high, target); }
    const y = (v) => (25 - 22 * (v - low) / ((high - low) || 1)).toFixed(1), step = 116 / Math.max(1, values.length - 1);
    let path = '', pen = 'M';
    values.forEach((v, i) => { if (v === null) pen = 'M'; else { path += `${pen}${(2 + i * step).toFixed(1)} ${y(v)}`; pen = 'L'; } });
    return (near ? `<path class="spark-target" d="M0 ${y(target)}H120"/>` : '') + `<path class="spark-line" d="${path}"/>`;
  };

  const paintKpi = (node) => {
    const row = board.state.kpis[node.dataset.kpi];
    if (!row) return;
    const status = aged(row, +node.dataset.every);
    mark(node, 'state', status);
    for (const chip of node.querySelectorAll('.chip')) { mark(chip, 'state', status); text(chip, STATES[status] || status); }
    const value = field(node, 'value'), shown = number(row.value, row.decimals);
    if (value && value.textContent !== shown) { value.textContent = shown; value.classList.remove('fresh-value'); void value.offsetWidth; value.classList.add('fresh-value'); }
    text(field(node, 'trend'), trend(row));
    text(field(node, 'clock'), clock(row.as_of));
    text(field(node, 'age'), row.as_of ? `${age(now() - new Date(row.as_of))} old` : '');
    text(field(node, 'coverage'), coverage(row.coverage));
    text(field(node, 'why'), row.value === null ? reason(row) : row.detail || '');
    const fraction = field(node, 'fraction');
    if (fraction && row.denominator !== null && row.denominator !== undefined) text(fraction, `${number(row.numerator, 2)} / ${number(row.denominator, 2)}`);
    const used = field(node, 'used');
    if (used && row.n !== null && row.n !== undefined) text(used, row.n_expected ? `${number(row.n, 0)} of ${number(row.n_expected, 0)} expected; ${number(Math.max(0, row.n_expected - row.n), 0)} did not arrive or were set aside` : number(row.n, 0));
    if (row.window_start) text(field(node, 'window'), `${clock(row.window_start)} to ${clock(row.window_end)}`);
    const spark = field(node, 'spark'), svg = spark && spark.querySelector('svg');
    if (svg && row.spark) { const path = sparkline(row.spark, row.target); if (svg._path !== path) { svg._path = path; svg.innerHTML = path; } }
    const bar = field(node, 'bar'), top = bar && +node.closest('[data-top]').dataset.top;
    if (bar) { const width = row.value === null ? '0%' : `${Math.min(100, 100 * Math.abs(row.value) / top).toFixed(1)}%`; if (bar.style.width !== width) bar.style.width = width; }
    if (node.dataset.title) {
      const words = row.value === null ? `${node.dataset.title}: no value, ${reason(row)}.` : spoken(node, row, status);
      if (node.getAttribute('aria-label') !== words) node.setAttribute('aria-label', words);
    }
  };
  const spoken = (node, row, status) => {
    const said = [node.dataset.title, `${number(row.value, row.decimals)} ${node.dataset.unit || ''}`.trim()];
    if (row.target !== null && row.better !== 'context') said.push(`${row.value < row.target ? 'below' : row.value > row.target ? 'above' : 'at'} the target of ${number(row.target, Number.isInteger(row.target) ? 0 : Math.max(1, row.decimals))}`);
    if (row.as_of) said.push(`${age(now() - new Date(row.as_of))} old`);
    if (status === 'stale') said.push('stale');
    return said.join(', ') + '.';
  };

  const standing = (domain, headlines) => {
    const found = headlines.split(' ').map((k) => board.state.kpis[`${k}|town`]?.status).filter((s) => s && s !== 'context');
    const active = board.state.alarms.filter((a) => a.domain === domain && a.state === 'active').map((a) => a.priority);
    if (active.some((p) => p === 'critical' || p === 'high')) found.push('breach'); else if (active.length) found.push('watch');
    return SEVERITY.find((s) => found.includes(s)) || 'no data';
  };
  const paintStanding = (node) => {
    const status = standing(node.dataset.standing, node.dataset.headlines || '');
    if (node.classList.contains('chip')) { mark(node, 'state', status); text(node, STATES[status]); return; }
    const shape = node.querySelector('.mark-only');
    mark(shape, 'state', status);
    if (shape) shape.title = STATES[status];
    text(field(node, 'word'), `, ${STATES[status].toLowerCase()}`);
  };

  // ---- alarms ------------------------------------------------------------------------------------------------
  const digits = (v) => Math.abs(v) >= 100 || Number.isInteger(v) ? 0 : Math.abs(v) < 10 ? 2 : 1;
  const given = (name) => JSON.parse(document.getElementById('shell-clock')?.dataset[name] || '{}');
  const unitWords = (unit) => given('units')[unit] ?? (unit || '').replaceAll('_', ' ').replaceAll('^3', '³').replaceAll('^2', '²');
  const against = (a) => {
    if (a.value === null || a.value === undefined) return '';
    const value = `${number(a.value, digits(a.value))} ${unitWords(a.unit)}`.trim();
    return a.limit === null || a.limit === undefined ? value : `${value} against a limit of ${number(a.limit, digits(a.limit))}`;
  };
  const wardName = (id) => given('wards')[id] || `Ward ${id}`;
  const areaWords = (area) => {
    const [level, id] = (area || 'town').split(/:(.*)/);
    return level === 'town' ? 'Whole town' : level === 'ward' ? wardName(id) : level === 'asset' ? id : `${level[0].toUpperCase()}${level.slice(1)} ${id}`;
  };
  const alarmItem = (a) => {
    const item = make('li', '', undefined, {alarm: a.id, state: a.state, priority: a.priority});
    const where = make('span', 'where');
    if (a.asset) { const link = make('a', '', a.asset_name || a.asset, {nav: ''}); link.href = `${board.base}asset/${encodeURIComponent(a.asset)}`; where.append(link); }
    if (a.ward) where.append((a.asset ? ', ' : '') + wardName(a.ward)); else if (!a.asset) where.append(areaWords(a.area));
    const since = a.returned_at || a.since, when = make('span', 'since', `${a.state === 'returned' ? 'back to normal since' : 'since'} ${clock(since)} · `);
    when.append(make('span', '', age(now() - new Date(since)), {age: since}));
    item.append(make('span', 'priority', a.priority[0].toUpperCase() + a.priority.slice(1), {priority: a.priority}), make('strong', '', a.title), where, when,
      make('span', 'against', against(a)), make('span', 'todo', a.instruction || ''));
    return item;
  };
  const paintAlarms = (box) => {
    const only = box.closest('[data-only-asset]')?.dataset.onlyAsset;
    const rows = board.state.alarms.filter((a) => (!box.dataset.alarms || a.domain === box.dataset.alarms)
      && (!box.dataset.wardFilter || a.ward === box.dataset.wardFilter) && (!only || a.asset === only));
    const shown = [...rows.filter((a) => a.state === 'active').slice(0, +box.dataset.limit), ...rows.filter((a) => a.state !== 'active').slice(0, 3)];
    const key = JSON.stringify(shown) + rows.length;
    if (box._key === key) return;
    box._key = key;
    field(box, 'alarms').replaceChildren(...shown.map(alarmItem));
    const empty = field(box, 'empty'), more = field(box, 'more');
    text(empty, 'No alarms. Everything that is watched is within its limits.');
    empty.hidden = rows.length > 0;
    more.hidden = rows.length <= shown.length;
    text(more, `and ${Math.max(0, rows.length - shown.length)} more`);
  };

  // ---- feeds -------------------------------------------------------------------------------------------------
  const band = (s) => s === null || s === undefined ? 'unknown' : s >= .98 ? 'full' : s >= .75 ? 'most' : s >= .01 ? 'some' : 'none';
  const feedNow = (f) => {
    if (!f.last_arrival || !f.every_s || f.state === 'failing') return f.state;
    const missed = (now() - new Date(f.last_arrival)) / 1000 / f.every_s;
    return missed > 4 ? 'silent' : missed > 2 && f.state === 'live' ? 'late' : f.state;
  };
  const paintFeed = (node) => {
    const f = board.state.feeds[node.dataset.feed];
    if (!f) return;
    const status = feedNow(f);
    mark(node, 'state', status);
    for (const chip of node.querySelectorAll('.chip')) { mark(chip, 'state', status); text(chip, STATES[status] || status); }
    text(field(node, 'words'), f.words);
    text(field(node, 'clock'), f.last_arrival ? clock(f.last_arrival) : '');
    text(field(node, 'arrived'), f.last_arrival ? `${age(now() - new Date(f.last_arrival))} ago` : 'nothing yet');
    for (const key of ['decoded', 'stored', 'duplicate', 'quarantined', 'corrected']) text(field(node, key), number(f[key] || 0, 0));
    const cells = field(node, 'strip')?.children || [];
    (f.strip || []).forEach((s, i) => { if (cells[i]) { mark(cells[i], 'band', band(s)); cells[i].title = `${f.strip.length - i} h ago: ${s === null ? 'unknown' : Math.floor(s * 100) + ' %'}`; } });
  };
  const paintLedger = (node) => {
    const l = board.state.ledger || {};
    for (const key of ['decoded', 'stored', 'duplicate', 'quarantined']) text(field(node, key), number(l[key] || 0, 0));
    const missing = (l.decoded || 0) - (l.stored || 0) - (l.duplicate || 0) - (l.quarantined || 0);
    text(field(node, 'books'), missing ? `${number(missing, 0)} rows are on their way through the line.` : 'The books balance: every row is accounted for.');
  };

  // ---- map ---------------------------------------------------------------------------------------------------
  const MARKS = {good: 'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0', late: 'M0-8L8 0L0 8L-8 0Z', stale: 'M-7-7L7 7M7-7L-7 7',
    'no data': 'M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0', alarm: 'M0-15L14 10H-14Z'};
  const paintMap = (map) => {
    const kpi = map.dataset.map, active = board.state.alarms.filter((a) => a.state === 'active');
    for (const ward of map.querySelectorAll('[data-ward]')) {
      const id = ward.dataset.ward, row = kpi && board.state.kpis[`${kpi}|ward:${id}`], here = active.filter((a) => a.ward === id);
      const worst = PRIORITIES.find((p) => here.some((a) => a.priority === p));
      const status = kpi ? (row ? row.status : 'no data') : worst ? (worst === 'critical' || worst === 'high' ? 'breach' : 'watch') : 'good';
      mark(ward, 'state', status);
      const words = `${ward.dataset.name}: ` + (kpi ? `${row && row.value !== null ? number(row.value, row.decimals) : 'no value'}, ${STATES[status].toLowerCase()}` : count(here.length, 'active alarm'));
      if (ward.getAttribute('aria-label') !== words) { ward.setAttribute('aria-label', words); text(ward.querySelector('title'), words); }
      if (kpi) text(map.querySelector(`[data-ward-value="${CSS.escape(id)}"]`), row ? number(row.value, row.decimals) : '–');
    }
    for (const node of map.querySelectorAll('[data-asset]')) {
      const a = board.state.assets[node.dataset.asset];
      if (!a) continue;
      const look = a.alarm ? 'alarm' : a.state || 'no data';
      mark(node, 'priority', a.alarm || '');
      if (node.dataset.look === look) continue;
      node.dataset.look = look;
      node.lastElementChild.setAttribute('d', MARKS[look] || MARKS.good);
      const words = `${node.dataset.name}, ${(STATES[a.state] || '').toLowerCase()}` + (a.alarm ? `, ${a.alarm} alarm` : '');
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
  const feedCharts = () => {
    charting = 0;
    if (document.hidden || !board.state || !window.Plotly) return;
    for (const box of all('[data-chart]')) {
      const plot = box.querySelector('.js-plotly-plot'), row = board.state.kpis[box.dataset.chart];
      if (!plot || !plot.data || !plot.data[0] || !row || row.value === null || !row.window_start || !inView(box)) continue;
      const trace = plot.data[0], at = localText(row.window_start), last = trace.x[trace.x.length - 1];
      if (at > last) Plotly.extendTraces(plot, {x: [[at]], y: [[row.value]]}, [0]);
      else if (at === last && trace.y[trace.y.length - 1] !== row.value) {
        const y = [...trace.y]; y[y.length - 1] = row.value;
        Plotly.react(plot, [{...trace, x: [...trace.x], y}], plot.layout);   // restyle would drop the axis type
      } else continue;
      charting = setTimeout(feedCharts, 30);
      return;
    }
  };

  // ---- one painting -------------------------------------------------------------------------------------------
  const paint = () => {
    painting = 0;
    board.dressPage();
    if (document.hidden || !board.state) return;
    all('[data-kpi]').forEach(paintKpi);
    all('[data-standing]').forEach(paintStanding);
    all('[data-alarms]').forEach(paintAlarms);
    all('[data-feed]').forEach(paintFeed);
    all('.ledger').forEach(paintLedger);
    all('[data-map]').forEach(paintMap);
    all('[data-asset-row]').forEach(paintAssetRow);
    all('[data-f="built"]').forEach((n) => text(n, board.state.built_at ? hms(new Date(board.state.built_at)) : 'nothing yet'));
    all('[data-f="first"]').forEach((n) => { n.hidden = true; });
    all('[data-f="summary"]').forEach((n) => text(n, summary()));
    if (!charting) charting = setTimeout(feedCharts, 0);
  };
  const summary = () => {
    const feeds = Object.values(board.state.feeds), troubled = feeds.filter((f) => !['live', 'waiting'].includes(feedNow(f))).length;
    const active = count(board.state.alarms.filter((a) => a.state === 'active').length, 'alarm');
    return `${active[0].toUpperCase()}${active.slice(1)} active. ${feeds.length - troubled} of ${count(feeds.length, 'feed')} arriving as expected.`;
  };
  const soon = () => { if (!painting) painting = setTimeout(paint, 30); };

  const tick = () => {
    all('[data-f="now"]').forEach((n) => text(n, hms(now())));
    all('[data-age]').forEach((n) => text(n, age(now() - new Date(n.dataset.age))));
    if (board.state && !document.hidden) {
      for (const node of all('[data-kpi]')) {
        const row = board.state.kpis[node.dataset.kpi];
        if (row?.as_of) text(field(node, 'age'), `${age(now() - new Date(row.as_of))} old`);
      }
      for (const node of all('[data-feed]')) {
        const f = board.state.feeds[node.dataset.feed];
        if (f?.last_arrival) text(field(node, 'arrived'), `${age(now() - new Date(f.last_arrival))} ago`);
      }
    }
    board.badge();
  };
  addEventListener('scroll', () => { if (!charting) charting = setTimeout(feedCharts, 120); }, {passive: true});
  Object.assign(board, {soon, tick, mark, text, all, make});
})();
