/* The live wire in the page: one stream per tab, heals for ever, writes figures straight into what the server drew.
   Words and formats follow components/wording.py; the server writes them first, this keeps them current. */
(() => {
  'use strict';
  const base = new URL('..', document.currentScript.src).pathname;
  const quietAfter = 10000, staleLineAfter = 30000;
  const live = window.townboard = Object.assign(window.townboard || {}, {state: null, seq: 0, mode: 'wait'});
  let stream = null, timer = 0, etag = null, build = null, fails = 0, offset = 0, beatAt = 0, startedAt = Date.now();
  let hiddenFor = 0, painting = 0, charting = 0, touchedAt = 0, pollUntil = 0, deadSince = 0;

  // ---- words -------------------------------------------------------------------------------------------------
  const lang = document.documentElement.lang || 'en';
  const STATES = {good: 'Good', watch: 'Watch', breach: 'Breach', late: 'Late', stale: 'Stale', 'no data': 'No data', context: 'For context',
    live: 'Live', silent: 'Silent', failing: 'Failing', waiting: 'Waiting', alarm: 'Alarm'};
  const REASONS = {no_data: 'nothing was measured in this time', insufficient_data: 'too few readings arrived to judge it',
    stale: 'the readings stopped', not_applicable: 'it does not apply here'};
  const SEVERITY = ['breach', 'watch', 'stale', 'late', 'no data', 'good', 'context'];
  const PRIORITIES = ['critical', 'high', 'medium', 'low'];
  const formats = new Map();
  const number = (value, decimals = 1) => {
    if (value === null || value === undefined) return '–';
    if (!formats.has(decimals)) formats.set(decimals, new Intl.NumberFormat(lang,
      {minimumFractionDigits: decimals, maximumFractionDigits: decimals, roundingMode: 'halfExpand', signDisplay: 'negative'}));
    return formats.get(decimals).format(value).replace('-', '−');
  };
  const age = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(s / 3600), d = Math.floor(h / 24);
    if (s < 60) return `${s} s`;
    if (m < 60) return `${m} min`;
    if (h < 24) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
    return `${d} day${d > 1 ? 's' : ''}`;
  };
  const now = () => Date.now() + offset;
  const zone = () => document.getElementById('shell-clock')?.dataset.zone || 'UTC';
  const parts = (at, options) => new Intl.DateTimeFormat('en-GB', {timeZone: zone(), hourCycle: 'h23', ...options}).format(at);
  const hms = (at) => parts(at, {hour: '2-digit', minute: '2-digit', second: '2-digit'});
  const clock = (iso) => {
    if (!iso) return '–';
    const at = new Date(iso), day = {day: 'numeric', month: 'short', year: 'numeric'};
    const time = parts(at, {hour: '2-digit', minute: '2-digit'});
    if (parts(at, day) === parts(now(), day)) return time;
    const sameYear = parts(at, {year: 'numeric'}) === parts(now(), {year: 'numeric'});
    return parts(at, sameYear ? {day: 'numeric', month: 'short'} : day) + ' ' + time;
  };
  const localText = (iso) => {
    const f = Object.fromEntries(new Intl.DateTimeFormat('en-GB', {timeZone: zone(), hourCycle: 'h23', year: 'numeric', month: '2-digit',
      day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit'}).formatToParts(new Date(iso)).map((p) => [p.type, p.value]));
    return `${f.year}-${f.month}-${f.day}T${f.hour}:${f.minute}:${f.second}`;
  };
  const trend = (row) => {
    if (row.last_week === null || row.last_week === undefined || row.value === null) return 'no value last week to compare';
    const change = +(row.value - row.last_week).toFixed(row.decimals);
    const before = number(row.last_week, row.decimals);
    return change === 0 ? `as last week (${before})` : `${change > 0 ? '▲' : '▼'} ${number(Math.abs(change), row.decimals)} on last week (${before})`;
  };
  const coverage = (share) => share === null || share === undefined ? 'completeness unknown' : `${Math.floor(share * 100)} % of readings`;
  const reason = (row) => REASONS[row.reason || 'no_data'] || String(row.reason).replaceAll('_', ' ');
  const count = (n, one) => n ? `${number(n, 0)} ${one}${n === 1 ? '' : 's'}` : `no ${one}s`;

  // ---- writing into the page ---------------------------------------------------------------------------------
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
    const row = live.state.kpis[node.dataset.kpi];
    if (!row) return;
    const status = aged(row, +node.dataset.every);
    mark(node, 'state', status);
    for (const chip of node.querySelectorAll('.chip')) { mark(chip, 'state', status); text(chip, STATES[status] || status); }
    const value = field(node, 'value'), shown = number(row.value, row.decimals);
    if (value && value.textContent !== shown) { value.textContent = shown; value.classList.remove('fresh-value'); void value.offsetWidth; value.classList.add('fresh-value'); }
    text(field(node, 'trend'), trend(row));
    text(field(node, 'clock'), clock(row.as_of));
    text(field(node, 'age'), row.as_of ? age(now() - new Date(row.as_of)) : '–');
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
    const found = headlines.split(' ').map((k) => live.state.kpis[`${k}|town`]?.status).filter((s) => s && s !== 'context');
    const active = live.state.alarms.filter((a) => a.domain === domain && a.state === 'active').map((a) => a.priority);
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
  const UNITS = {percent: '%', 'm^3/h': 'm³/h', 'ug/m^3': 'µg/m³', 'mg/m^3': 'mg/m³', degC: '°C', dBA: 'dB(A)', metre_head: 'm of head', index_point: 'index', dimensionless: '', minute: 'min', second: 's', hour: 'h'};
  const against = (a) => {
    if (a.value === null || a.value === undefined) return '';
    const unit = a.unit in UNITS ? UNITS[a.unit] : (a.unit || '').replaceAll('_', ' ').replaceAll('^3', '³').replaceAll('^2', '²');
    const value = `${number(a.value, digits(a.value))} ${unit}`.trim();
    return a.limit === null || a.limit === undefined ? value : `${value} against a limit of ${number(a.limit, digits(a.limit))}`;
  };
  const wardName = (id) => document.querySelector(`select[data-filter="ward"] option[value="${CSS.escape(id)}"]`)?.textContent || `Ward ${id}`;
  const alarmItem = (a) => {
    const item = make('li', '', undefined, {alarm: a.id, state: a.state, priority: a.priority});
    const where = make('span', 'where');
    if (a.asset) { const link = make('a', '', a.asset_name || a.asset, {nav: ''}); link.href = `${base}asset/${encodeURIComponent(a.asset)}`; where.append(link); }
    if (a.ward) where.append((a.asset ? ', ' : '') + wardName(a.ward)); else if (!a.asset) where.append('Whole town');
    const since = a.returned_at || a.since, when = make('span', 'since', `${a.state === 'returned' ? 'back to normal since' : 'since'} ${clock(since)} · `);
    when.append(make('span', '', age(now() - new Date(since)), {age: since}));
    item.append(make('span', 'priority', a.priority[0].toUpperCase() + a.priority.slice(1), {priority: a.priority}), make('strong', '', a.title), where, when,
      make('span', 'against', against(a)), make('span', 'todo', a.instruction || ''));
    return item;
  };
  const paintAlarms = (box) => {
    const only = box.closest('[data-only-asset]')?.dataset.onlyAsset;
    const rows = live.state.alarms.filter((a) => (!box.dataset.alarms || a.domain === box.dataset.alarms)
      && (!box.dataset.wardFilter || a.ward === box.dataset.wardFilter) && (!only || a.asset === only));
    const limit = +box.dataset.limit, key = JSON.stringify(rows.slice(0, limit)) + rows.length;
    if (box._key === key) return;
    box._key = key;
    field(box, 'alarms').replaceChildren(...rows.slice(0, limit).map(alarmItem));
    const empty = field(box, 'empty'), more = field(box, 'more');
    text(empty, 'No alarms. Everything that is watched is within its limits.');
    empty.hidden = rows.length > 0;
    more.hidden = rows.length <= limit;
    text(more, `and ${Math.max(0, rows.length - limit)} more`);
  };

  // ---- feeds -------------------------------------------------------------------------------------------------
  const band = (s) => s === null || s === undefined ? 'unknown' : s >= .98 ? 'full' : s >= .75 ? 'most' : s >= .01 ? 'some' : 'none';
  const feedNow = (f) => {
    if (!f.last_arrival || !f.every_s || f.state === 'failing') return f.state;
    const missed = (now() - new Date(f.last_arrival)) / 1000 / f.every_s;
    return missed > 4 ? 'silent' : missed > 2 && f.state === 'live' ? 'late' : f.state;
  };
  const paintFeed = (node) => {
    const f = live.state.feeds[node.dataset.feed];
    if (!f) return;
    const status = feedNow(f);
    mark(node, 'state', status);
    for (const chip of node.querySelectorAll('.chip')) { mark(chip, 'state', status); text(chip, STATES[status] || status); }
    text(field(node, 'words'), f.words);
    text(field(node, 'clock'), clock(f.last_arrival));
    text(field(node, 'arrived'), f.last_arrival ? `${age(now() - new Date(f.last_arrival))} ago` : 'nothing yet');
    for (const key of ['decoded', 'stored', 'duplicate', 'quarantined', 'corrected']) text(field(node, key), number(f[key] || 0, 0));
    const cells = field(node, 'strip')?.children || [];
    (f.strip || []).forEach((s, i) => { if (cells[i]) { mark(cells[i], 'band', band(s)); cells[i].title = `${f.strip.length - i} h ago: ${s === null ? 'unknown' : Math.floor(s * 100) + ' %'}`; } });
  };
  const paintLedger = (node) => {
    const l = live.state.ledger || {};
    for (const key of ['decoded', 'stored', 'duplicate', 'quarantined']) text(field(node, key), number(l[key] || 0, 0));
    const missing = (l.decoded || 0) - (l.stored || 0) - (l.duplicate || 0) - (l.quarantined || 0);
    text(field(node, 'books'), missing ? `${number(missing, 0)} rows are on their way through the line.` : 'The books balance: every row is accounted for.');
  };

  // ---- map ---------------------------------------------------------------------------------------------------
  const MARKS = {good: 'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0', late: 'M0-8L8 0L0 8L-8 0Z', stale: 'M-7-7L7 7M7-7L-7 7',
    'no data': 'M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0', alarm: 'M0-15L14 10H-14Z'};
  const paintMap = (map) => {
    const kpi = map.dataset.map, active = live.state.alarms.filter((a) => a.state === 'active');
    for (const ward of map.querySelectorAll('[data-ward]')) {
      const id = ward.dataset.ward, row = kpi && live.state.kpis[`${kpi}|ward:${id}`], here = active.filter((a) => a.ward === id);
      const worst = PRIORITIES.find((p) => here.some((a) => a.priority === p));
      const status = kpi ? (row ? row.status : 'no data') : worst ? (worst === 'critical' || worst === 'high' ? 'breach' : 'watch') : 'good';
      mark(ward, 'state', status);
      const words = `${ward.dataset.name}: ` + (kpi ? `${row && row.value !== null ? number(row.value, row.decimals) : 'no value'}, ${STATES[status].toLowerCase()}` : count(here.length, 'active alarm'));
      if (ward.getAttribute('aria-label') !== words) { ward.setAttribute('aria-label', words); text(ward.querySelector('title'), words); }
      if (kpi) text(map.querySelector(`[data-ward-value="${CSS.escape(id)}"]`), row ? number(row.value, row.decimals) : '–');
    }
    for (const node of map.querySelectorAll('[data-asset]')) {
      const a = live.state.assets[node.dataset.asset];
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
    const a = live.state.assets[node.dataset.assetRow];
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
    if (document.hidden || !live.state || !window.Plotly) return;
    for (const box of all('[data-chart]')) {
      const plot = box.querySelector('.js-plotly-plot'), row = live.state.kpis[box.dataset.chart];
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
    dressPage();
    if (document.hidden || !live.state) return;
    all('[data-kpi]').forEach(paintKpi);
    all('[data-standing]').forEach(paintStanding);
    all('[data-alarms]').forEach(paintAlarms);
    all('[data-feed]').forEach(paintFeed);
    all('.ledger').forEach(paintLedger);
    all('[data-map]').forEach(paintMap);
    all('[data-asset-row]').forEach(paintAssetRow);
    all('[data-f="built"]').forEach((n) => text(n, live.state.built_at ? hms(new Date(live.state.built_at)) : 'nothing yet'));
    all('[data-f="first"]').forEach((n) => { n.hidden = true; });
    all('[data-f="summary"]').forEach((n) => text(n, summary()));
    if (!charting) charting = setTimeout(feedCharts, 0);
  };
  const summary = () => {
    const feeds = Object.values(live.state.feeds), troubled = feeds.filter((f) => !['live', 'waiting'].includes(feedNow(f))).length;
    const active = count(live.state.alarms.filter((a) => a.state === 'active').length, 'alarm');
    return `${active[0].toUpperCase()}${active.slice(1)} active. ${feeds.length - troubled} of ${count(feeds.length, 'feed')} arriving as expected.`;
  };
  const soon = () => { if (!painting) painting = setTimeout(paint, 30); };

  const tick = () => {
    all('[data-f="now"]').forEach((n) => text(n, hms(now())));
    all('[data-age]').forEach((n) => text(n, age(now() - new Date(n.dataset.age))));
    if (live.state && !document.hidden) {
      for (const node of all('[data-kpi]')) {
        const row = live.state.kpis[node.dataset.kpi];
        if (row?.as_of) text(field(node, 'age'), age(now() - new Date(row.as_of)));
      }
      for (const node of all('[data-feed]')) {
        const f = live.state.feeds[node.dataset.feed];
        if (f?.last_arrival) text(field(node, 'arrived'), `${age(now() - new Date(f.last_arrival))} ago`);
      }
    }
    badge();
  };

  // ---- is it live? ----------------------------------------------------------------------------------------------
  const badge = () => {
    const silent = Date.now() - (beatAt || startedAt), built = live.state?.built_at && new Date(live.state.built_at);
    const lineOld = built ? now() - built : 0;
    const dead = silent > quietAfter, stopped = !dead && lineOld > staleLineAfter;
    if (dead && !deadSince) deadSince = beatAt ? beatAt + offset : now() - silent;
    if (!dead) deadSince = 0;
    const words = dead ? 'Not live' : stopped ? 'Line stopped' : !beatAt ? 'Connecting' : live.state ? 'Live' : 'Waiting for figures';
    const look = dead || stopped ? 'dead' : beatAt && live.state ? 'live' : 'wait';
    all('.live').forEach((n) => { mark(n, 'mode', look); text(n, words); });
    const since = dead ? deadSince : stopped ? built : 0;
    all('.not-live').forEach((n) => {
      n.hidden = !since;
      if (since) text(n, dead ? `NOT LIVE SINCE ${clock(since)}. The link to the server is lost; figures are as they were then. This heals by itself.`
        : `NOT LIVE SINCE ${clock(since)}. The server answers, but no new figures are made. Tell whoever runs it.`);
    });
    document.documentElement.classList.toggle('is-not-live', Boolean(since));
  };
  const beat = (serverNow) => { beatAt = Date.now(); if (serverNow) offset = serverNow - beatAt; };

  // ---- state in --------------------------------------------------------------------------------------------------
  const onFull = (state) => { live.state = state; live.seq = state.seq; soon(); badge(); };
  const merge = (state, delta) => {
    const merged = {...state, seq: delta.seq, built_at: delta.built_at};
    for (const part of ['kpis', 'feeds', 'assets']) {
      const gone = delta.gone?.[part] || [];
      if (!delta[part] && !gone.length) continue;
      merged[part] = {...state[part], ...delta[part]};
      for (const key of gone) delete merged[part][key];
    }
    for (const part of ['alarms', 'jobs', 'ledger', 'town', 'build']) if (part in delta) merged[part] = delta[part];
    return merged;
  };
  live.merge = merge;
  const onDelta = (delta) => {
    if (!live.state || delta.prev !== live.seq) return ask();
    live.state = merge(live.state, delta);
    live.seq = delta.seq;
    soon();
    badge();
  };
  const onBuild = (name) => {
    if (build && build !== name) setTimeout(reloadWhenQuiet, Math.random() * 20000);
    build = name;
  };
  const reloadWhenQuiet = () => {
    const busy = Date.now() - touchedAt < 8000 || /INPUT|SELECT|TEXTAREA/.test(document.activeElement?.tagName || '');
    if (busy && !document.hidden) setTimeout(reloadWhenQuiet, 3000); else location.reload();
  };

  // ---- transport: a stream, asking in between when it will not come, for ever -----------------------------------------
  const ask = async () => {
    try {
      const answer = await fetch(`${base}api/v1/snapshot`, {headers: etag ? {'If-None-Match': etag} : {}, cache: 'no-store'});
      if (answer.status !== 200 && answer.status !== 304 && answer.status !== 503) return false;
      beat(+answer.headers.get('x-now') || 0);
      if (answer.headers.get('x-build')) onBuild(answer.headers.get('x-build'));
      if (answer.status === 200) { etag = answer.headers.get('etag'); onFull(await answer.json()); }
      badge();
      return true;
    } catch { return false; }
  };
  const poll = async () => {
    live.mode = 'poll';
    const ok = await ask();
    timer = setTimeout(Date.now() > pollUntil ? open : poll, (ok ? 2500 : 3000) + Math.random() * 800);
  };
  const close = () => { clearTimeout(timer); stream?.close(); stream = null; };
  const retry = () => {
    close();
    live.mode = 'wait';
    fails += 1;
    const wait = Math.min(30000, 1000 * 2 ** Math.min(fails - 1, 5)) * (.5 + Math.random() / 2);
    const next = fails > 2 && fails % 2 ? () => { pollUntil = Date.now() + 30000; poll(); } : open;
    timer = setTimeout(next, fails > 2 ? Math.min(wait, 5000) : wait);
  };
  const open = () => {
    close();
    if (!window.EventSource) { pollUntil = Infinity; poll(); return; }
    live.mode = 'stream';
    stream = new EventSource(`${base}api/v1/stream`);
    stream.addEventListener('hello', (e) => { fails = 0; const h = JSON.parse(e.data); beat(h.now); onBuild(h.build); badge(); });
    stream.addEventListener('beat', (e) => { beat(JSON.parse(e.data).now); badge(); });
    stream.addEventListener('full', (e) => { beat(0); onFull(JSON.parse(e.data)); });
    stream.addEventListener('delta', (e) => { beat(0); onDelta(JSON.parse(e.data)); });
    stream.onerror = retry;   // the browser's own retry gives up on HTTP errors
  };
  setInterval(tick, 1000);
  setInterval(() => {
    if (stream && beatAt && Date.now() - beatAt > 12000) retry();                      // a half-open socket says nothing
    hiddenFor = document.hidden ? hiddenFor + 1 : 0;
    if (hiddenFor === 5 && live.mode !== 'hidden') { close(); live.mode = 'hidden'; }  // six streams are all a browser has over HTTP/1.1
  }, 2000);
  const wake = () => { if (live.mode === 'hidden' || live.mode === 'wait') { startedAt = beatAt = Date.now(); open(); } soon(); };
  document.addEventListener('visibilitychange', () => { if (!document.hidden) wake(); });
  addEventListener('online', wake);
  addEventListener('pageshow', (e) => { if (e.persisted) open(); });
  addEventListener('scroll', () => { if (!charting) charting = setTimeout(feedCharts, 120); }, {passive: true});
  for (const kind of ['pointerdown', 'keydown', 'wheel']) addEventListener(kind, () => { touchedAt = Date.now(); }, {passive: true});

  // ---- page: first paint handed over, filters in the address, theme ---------------------------------------------------
  const dressPage = () => {
    const first = document.getElementById('first'), content = document.getElementById('_pages_content');
    if (first && content && content.firstElementChild) { first.remove(); document.body.classList.add('ready'); }
    const query = new URLSearchParams(location.search);
    for (const select of all('select[data-filter]')) {
      const asked = query.get(select.dataset.filter);
      if (asked !== null && [...select.options].some((o) => o.value === asked) && select.value !== asked && document.activeElement !== select) select.value = asked;
    }
    for (const link of all('.nav-item')) {
      const here = new URL(link.href).pathname === location.pathname;
      if (here) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
    }
  };
  const go = (href) => {
    history.pushState({}, '', href);
    dispatchEvent(new CustomEvent('_dashprivate_pushstate'));
    dispatchEvent(new CustomEvent('_dashprivate_historychange'));
    soon();
  };
  const keep = (url) => {
    const query = new URLSearchParams(location.search);
    for (const name of ['ward', 'days']) if (query.get(name) && !url.searchParams.has(name)) url.searchParams.set(name, query.get(name));
    return url;
  };
  document.addEventListener('click', (e) => {
    if (e.target.closest('#shell-theme')) return turnTheme();
    const link = e.target.closest('a[data-nav]');
    if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button || !document.body.classList.contains('ready')) return undefined;
    const raw = link.getAttribute('href'), url = new URL(raw, location.href);
    if (link.dataset.nav === 'ward') {
      const query = new URLSearchParams(location.search), ward = url.searchParams.get('ward');
      if (query.get('ward') === ward) query.delete('ward'); else query.set('ward', ward);
      url.search = query;
    } else keep(url);
    e.preventDefault();
    const samePage = link.dataset.nav === 'ward';
    go(url.pathname + url.search + url.hash);
    for (const menu of all('.nav-phone[open]')) menu.open = false;
    if (!samePage) { scrollTo(0, 0); document.getElementById('content')?.focus({preventScroll: true}); }
    if (url.hash) waitFor(url.hash);
    return undefined;
  });
  const waitFor = (hash, tries = 40) => {
    const node = document.getElementById(hash.slice(1));
    if (node) node.scrollIntoView(); else if (tries) setTimeout(() => waitFor(hash, tries - 1), 100);
  };
  document.addEventListener('change', (e) => {
    const select = e.target.closest('select[data-filter]');
    if (!select || !document.body.classList.contains('ready')) return;
    const url = new URL(location.href);
    if (select.value) url.searchParams.set(select.dataset.filter, select.value); else url.searchParams.delete(select.dataset.filter);
    go(url.pathname + url.search);
  });
  const turnTheme = () => {
    const next = document.documentElement.dataset.bsTheme === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.bsTheme = next;
    try { localStorage.setItem('townboard-theme', next); } catch { /* private windows keep none */ }
  };
  new MutationObserver((changes) => {
    if (!document.body.classList.contains('ready')) dressPage();
    if (changes.some((c) => c.addedNodes.length && c.target.nodeType === 1 && !c.target.closest('[data-f],[data-age],.js-plotly-plot'))) soon();
  }).observe(document.documentElement, {childList: true, subtree: true});
  open();
  tick();
})();
