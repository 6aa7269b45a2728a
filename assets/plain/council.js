/* The council's page: another ward at once, and the printer. */
(() => {
  'use strict';
  document.getElementById('council-print')?.addEventListener('click', () => print());
  document.getElementById('council-ward')?.addEventListener('change', (e) => e.currentTarget.requestSubmit());
})();
