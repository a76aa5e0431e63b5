// A status as one HTML page that needs nothing else: no script, no font, no picture, no other request.
import { createHash } from 'node:crypto';
import type { Status } from './status.ts';
import { demoWords, doing, duration, placeWords, table } from './words.ts';

/** The page reads itself anew after so many seconds; there is no script to do it. */
const refresh = 10;

const style = `
:root{color-scheme:light dark;--bg:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--good:#1a7f37;--bad:#b3261e;--wait:#8a5a00;--demo:#8250df}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--ink:#e6edf3;--soft:#9ba5b0;--line:#30363d;--good:#4ac26b;--bad:#ff7b72;--wait:#e3b341;--demo:#bc8cff}}
body{margin:0 auto;max-width:40rem;padding:1rem;background:var(--bg);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0}
h2{font-size:1rem;margin:1rem 0 0}
p{margin:.5rem 0}
.soft{color:var(--soft)}
.demo{border:2px solid var(--demo);color:var(--demo);padding:.5rem .75rem;border-radius:.5rem;font-weight:600}
.state{font-weight:600;border-left:.35rem solid;padding-left:.75rem}
.good{border-color:var(--good)}.wait{border-color:var(--wait)}.bad{border-color:var(--bad)}
ul{padding-left:1.25rem}
.problems li{color:var(--bad)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem 0;border-top:1px solid var(--line)}
th{font-weight:400;color:var(--soft);padding-right:1rem;white-space:nowrap;width:1%}
`;

/** Forbids everything but this one style. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The page. Everything from outside is escaped. */
export function renderPage(status: Status): string {
  const colour =
    !status.healthy || status.phase === 'held' ? 'bad' : status.phase === 'waiting' ? 'wait' : 'good';
  const waits = status.waitsFor.map(
    ({ what, since }) => `<li>Waits for ${html(what)}, for ${duration(status.uptime - since)}.</li>`,
  );
  const problems = status.problems.map((problem) => `<li>${html(problem)}</li>`);
  const rows = table(status).map(
    ([name, value]) => `<tr><th scope="row">${html(name)}</th><td>${html(value)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="${refresh}">
<title>${html(status.name)} — edgekiln</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${html(status.name)}</h1>
<p class="soft">${html(placeWords(status))}</p>
</header>
<main>
${status.demo ? `<p class="demo">${html(demoWords)}</p>\n` : ''}<p class="state ${colour}">${html(doing(status))}</p>
${waits.length > 0 ? `<ul>${waits.join('\n')}</ul>\n` : ''}${problems.length > 0 ? `<h2>Problems</h2>\n<ul class="problems">${problems.join('\n')}</ul>\n` : ''}<table>
${rows.join('\n')}
</table>
<p class="soft">The same as data: /status.json</p>
</main>
</body>
</html>
`;
}

function html(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
