/* Charts: a picture from the server until somebody looks; then Plotly draws the same in its place, one chart a task. */
(() => {
  'use strict';
  const board = window.townboard = window.townboard || {};
  const address = document.querySelector('meta[name=townboard-plotly]')?.content;
  const soon = window.requestIdleCallback ? (work) => requestIdleCallback(work, {timeout: 1500}) : (work) => setTimeout(work, 50);
  const live = new Set(), wanted = new Set();
  let script = null, drawing = false;

  /* Fetched when the first chart comes near, never before. */
  const plotly = () => script ??= window.Plotly ? Promise.resolve() : new Promise((done, failed) => {
    const node = document.createElement('script');
    Object.assign(node, {src: address, async: true, fetchPriority: 'low', onload: done, onerror: () => { script = null; node.remove(); failed(); }});
    document.head.append(node);
  });
  const draw = async (box) => {
    wanted.delete(box);
    if (!box.isConnected || box.querySelector('.js-plotly-plot')) return;
    await plotly();
    if (!box.isConnected || box.querySelector('.js-plotly-plot')) return;
    const {data, layout, config} = JSON.parse(box.dataset.figure), plot = document.createElement('div');
    plot.className = 'chart-live';
    box.append(plot);
    await Plotly.newPlot(plot, data, layout, config);
    plot.previousElementSibling?.remove();
    live.add(plot);
    sizes.observe(plot);
    board.soon?.();
  };
  const work = async () => {
    const [next] = wanted;
    if (!next) { drawing = false; return; }
    await draw(next).catch(() => {});      // the picture stays; whoever looks again asks again
    soon(work);
  };
  const want = (box) => { wanted.add(box); if (!drawing) { drawing = true; soon(work); } };

  const sight = new IntersectionObserver((seen) => seen.forEach(({isIntersecting, target}) => {
    if (isIntersecting) want(target); else wanted.delete(target);
  }), {rootMargin: '150px'});
  const sizes = new ResizeObserver((changes) => {
    for (const {target, contentRect} of changes) {
      const drawn = target._fullLayout;
      if (drawn && contentRect.width && (Math.abs(drawn.width - contentRect.width) > 1 || Math.abs(drawn.height - contentRect.height) > 1)) Plotly.Plots.resize(target);
    }
  });
  const known = new WeakSet();
  /* New charts are watched; those that left the page give back what they hold. */
  board.lookAtCharts = () => {
    for (const box of document.querySelectorAll('.chart[data-figure]')) if (!known.has(box)) { known.add(box); sight.observe(box); }
    for (const plot of live) if (!plot.isConnected) { live.delete(plot); sizes.unobserve(plot); window.Plotly?.purge(plot); }
  };
  /* A chart that was drawn into the written page goes over to the one that Dash draws, as it is. */
  board.carryCharts = (from, to) => {
    const drawn = new Map([...from.querySelectorAll('.chart:has(.js-plotly-plot)')].map((box) => [box.dataset.figure, box]));
    if (drawn.size) for (const box of to.querySelectorAll('.chart')) {
      const old = drawn.get(box.dataset.figure);
      if (old) box.replaceChildren(...old.children);
    }
  };
  board.drawChart = draw;
  board.lookAtCharts();
})();
