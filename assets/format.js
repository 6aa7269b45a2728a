/* Words and formats in the page, the same as components/wording.py writes them first. */
(() => {
  'use strict';
  const board = window.townboard = Object.assign(window.townboard || {}, {state: null, seq: 0, mode: 'wait', offset: 0});
  const lang = document.documentElement.lang || 'en';
  const STATES = {good: 'Good', watch: 'Watch', breach: 'Breach', late: 'Late', stale: 'Stale', 'no data': 'No data', context: 'For context',
    live: 'Live', silent: 'Silent', failing: 'Failing', waiting: 'Waiting', alarm: 'Alarm'};
  const REASONS = {no_data: 'nothing was measured in this time', insufficient_data: 'too few readings arrived to judge it',
    stale: 'the readings stopped', not_applicable: 'it does not apply here'};
  const SEVERITY = ['breach', 'watch', 'stale', 'late', 'no data', 'good', 'context'];
  const PRIORITIES = ['critical', 'high', 'medium', 'low'];
  const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
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
  const now = () => Date.now() + board.offset;
  const zone = () => document.getElementById('shell-clock')?.dataset.zone || 'UTC';
  const parts = (at, options) => new Intl.DateTimeFormat('en-GB', {timeZone: zone(), hourCycle: 'h23', ...options}).format(at);
  const hms = (at) => parts(at, {hour: '2-digit', minute: '2-digit', second: '2-digit'});
  const clock = (iso) => {
    if (!iso) return '–';
    const at = new Date(iso), day = {day: 'numeric', month: 'short', year: 'numeric'};
    const time = parts(at, {hour: '2-digit', minute: '2-digit'});
    if (parts(at, day) === parts(now(), day)) return time;
    const year = parts(at, {year: 'numeric'}), named = `${parts(at, {day: 'numeric'})} ${MONTHS[parts(at, {month: 'numeric'}) - 1]}`;
    return `${named}${year === parts(now(), {year: 'numeric'}) ? '' : ` ${year}`} ${time}`;
  };
  const localText = (iso) => {
    const f = Object.fromEntries(new Intl.DateTimeFormat('en-GB', {timeZone: zone(), hourCycle: 'h23', year: 'numeric', month: '2-digit',
      day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit'}).formatToParts(new Date(iso)).map((p) => [p.type, p.value]));
    return `${f.year}-${f.month}-${f.day}T${f.hour}:${f.minute}:${f.second}`;
  };
  const span = (start, end) => {
    const first = localText(start), last = localText(end), [y, m, d] = first.split(/\D/).map(Number), [, m2, d2] = last.split(/\D/).map(Number);
    const midnight = (text) => Date.parse(text.slice(0, 10)), days = Math.round((midnight(last) - midnight(first)) / 864e5);
    const hours = Math.round((new Date(end) - new Date(start)) / 36e5);
    if (!first.endsWith('T00:00:00') || !last.endsWith('T00:00:00') || days > 366) {
      const spoken = hours >= 48 ? `${Math.round(hours / 24)} days` : `${hours} h`;
      return hours > 1 ? `the ${spoken} to ${clock(end)}` : `${clock(start)} to ${last.slice(11, 16)}`;
    }
    if (days > 31 && m === 1 && d === 1 && m2 === 1 && d2 === 1) return `${y}`;
    if (days > 7 && d === 1 && d2 === 1) return `${MONTHS[m - 1]} ${y}`;
    const final = new Date(midnight(last) - 864e5), named = `${final.getUTCDate()} ${MONTHS[final.getUTCMonth()]}`;
    return days === 1 ? named : `${d} ${MONTHS[m - 1]} to ${named}`;
  };
  const when = (row, status = row.status) => {
    if (row.window_start && row.window_end && new Date(row.window_end) <= now()) {
      const aged = (status === 'late' || status === 'stale') && row.as_of;
      return `for ${span(row.window_start, row.window_end)}` + (aged ? `, ${age(now() - new Date(row.as_of))} old` : '');
    }
    return row.as_of ? `as of ${clock(row.as_of)}, ${age(now() - new Date(row.as_of))} old` : '';
  };
  const whenShort = (row, status) => when(row, status).replace(/^as of .*, /, '');
  const daysLong = (row) => row.window_start && row.window_end ? (new Date(row.window_end) - new Date(row.window_start)) / 864e5 : 0;
  const trend = (row) => {
    const none = row.last_week === null || row.last_week === undefined;
    if (none && daysLong(row) > 27) return daysLong(row) < 40 ? 'new with each month' : 'new with each year';
    if (none || row.value === null) return 'no value last week';
    const change = +(row.value - row.last_week).toFixed(row.decimals);
    const before = number(row.last_week, row.decimals);
    const week = row.last_week_whole ? 'last week in full' : 'last week';
    return change === 0 ? `as ${week} (${before})` : `${change > 0 ? '▲' : '▼'} ${number(Math.abs(change), row.decimals)} on ${week} (${before})`;
  };
  const corrected = (row, unit) => {
    const told = row.corrected;
    if (!told) return '';
    const [, month, day] = localText(told.at).split(/\D/).map(Number);
    const words = `corrected on ${day} ${MONTHS[month - 1]}, was ${told.before === null ? 'unknown' : `${number(told.before, row.decimals)} ${unit}`.trim()}`;
    if (row.window_start && new Date(told.window_start).getTime() === new Date(row.window_start).getTime()) return words;
    return `${span(told.window_start, told.window_end)} ${words}, is ${told.after === null ? 'unknown' : number(told.after, row.decimals)}`;
  };
  const coverage = (share) => share === null || share === undefined ? 'completeness unknown' : `${Math.floor(share * 100)} % of what is expected`;
  const detail = (row, state) => row.detail ? state.assets[row.detail]?.name || state.feeds[row.detail]?.title || row.detail : '';
  const reason = (row) => REASONS[row.reason || 'no_data'] || String(row.reason).replaceAll('_', ' ');
  const completeness = (row) => row.value === null && reason(row).startsWith('only ') ? '' : coverage(row.coverage);
  const count = (n, one) => n ? `${number(n, 0)} ${one}${n === 1 ? '' : 's'}` : `no ${one}s`;

  /* What the line says has changed, laid over the state before: pipelines/engine/snapshot.py, changes(). */
  const merge = (state, delta) => {
    const merged = {...state, seq: delta.seq, built_at: delta.built_at};
    for (const part of ['kpis', 'feeds', 'assets']) {
      const gone = delta.gone?.[part] || [];
      if (!delta[part] && !gone.length) continue;
      merged[part] = {...state[part], ...delta[part]};
      for (const key of gone) delete merged[part][key];
    }
    for (const part of ['alarms', 'alarm_summary', 'jobs', 'ledger', 'town', 'build']) if (part in delta) merged[part] = delta[part];
    return merged;
  };
  Object.assign(board, {merge, STATES, SEVERITY, PRIORITIES, number, age, now, zone, parts, hms, clock, localText, span, when, whenShort, completeness, detail, trend, corrected, coverage, reason, count});
})();
