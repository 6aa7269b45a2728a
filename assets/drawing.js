/* The React half of components/drawing.py: a box with markup from the server, untouched until the markup changes. */
(() => {
  'use strict';
  const Drawing = (props) => {
    const rest = {className: props.className, id: props.id, role: props.role, 'aria-label': props.label, ...props.attributes};
    for (const key of Object.keys(props)) if (/^(data|aria)-/.test(key)) rest[key] = props[key];
    const html = React.useMemo(() => ({__html: props.markup}), [props.markup]);
    return React.createElement(props.tag || 'div', {...rest, dangerouslySetInnerHTML: html});
  };
  window.townboard = Object.assign(window.townboard || {}, {Drawing});
})();
