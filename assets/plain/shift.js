/* The shift log: another period at once, and the printer. */
(() => {
  'use strict';
  document.getElementById('shift-print')?.addEventListener('click', () => print());
  document.getElementById('shift-period')?.addEventListener('change', (e) => e.currentTarget.requestSubmit());
})();
