/* Notes in a page when something stands. Looks seldom, for looking takes the page's own time. The reader goes to the first
   chart as soon as it is there, since a chart that nobody looks at is not drawn; with __stays nobody goes anywhere. */
(() => {
  const seen = (window.__seen = {shift: 0});
  const FIGURES = ['main [data-f="value"]', 'main [data-f="summary"]', 'main .against', 'main .term b', '.value', '#value-0', 'main li', 'main p'].join();
  const note = (name, stands) => { if (!(name in seen) && stands) seen[name] = performance.now(); };
  const inView = (node) => { const box = node.getBoundingClientRect(); return box.width > 0 && box.top < innerHeight && box.bottom > 0; };
  const look = () => {
    const painted = performance.getEntriesByName('first-contentful-paint')[0];
    if (painted) {
      seen.paint = painted.startTime;
      if (!seen.figures) note('figures', [...document.querySelectorAll(FIGURES)].some((node) => /[0-9]/.test(node.textContent) && inView(node)));
    }
    const chart = document.querySelector('.chart-box, .dash-graph');
    if (chart && !window.__stays && !seen.went) { seen.went = true; chart.scrollIntoView({block: 'center', behavior: 'instant'}); }
    note('picture', seen.paint && document.querySelector('.chart .ch-plot, .dash-graph .main-svg'));
    note('chart', document.querySelector('.js-plotly-plot .main-svg .plot .trace, .js-plotly-plot .main-svg .js-line'));
    note('ready', document.readyState === 'complete' && (document.body.classList.contains('ready') || !document.querySelector('#react-entry-point')));
    seen.charts = Boolean(chart);
    seen.done = Boolean(seen.figures && seen.ready && (!chart || window.__stays || seen.chart));
    setTimeout(look, 40);
  };
  new PerformanceObserver((list) => { for (const one of list.getEntries()) seen.shift += one.value; }).observe({type: 'layout-shift', buffered: true});
  setTimeout(look, 10);
})();
