// From a key to the painted ghost text, measured by the page's own clock.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { main } from './workbench.mjs';

const REST_MS = 1500;
const PATIENCE_MS = 5000;

/** Notes in the page when a key went down and when the first ghost text behind it was painted. */
function installClock() {
  window.fimbleClock = { key: undefined, painted: undefined };
  const clock = window.fimbleClock;
  window.addEventListener('keydown', (event) => {
    if (event.key.length === 1 && !event.ctrlKey) {
      clock.key = performance.now();
      clock.painted = undefined;
    }
  }, true);
  const isThere = () => document.querySelector('.ghost-text-decoration, .ghost-text .view-line') !== null;
  new MutationObserver(() => {
    if (clock.key !== undefined && clock.painted === undefined && isThere()) {
      clock.painted = 0;
      // The frame that shows it, and a moment in which it is done.
      requestAnimationFrame(() => setTimeout(() => { clock.painted = performance.now(); }, 0));
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}

async function timeOf(page, key) {
  await page.evaluate(() => { window.fimbleClock.key = undefined; });
  await page.keyboard.type(key);
  return page.waitForFunction(
    () => (window.fimbleClock.painted > 0 ? window.fimbleClock.painted - window.fimbleClock.key : 0),
    undefined,
    { timeout: PATIENCE_MS, polling: 50 },
  ).then((handle) => handle.jsonValue(), () => null);
}

await main(async (workbench, { file, trials, whyCommand, environment }) => {
  const { page } = workbench;
  await workbench.until('fimble is ready', async () => (await workbench.status()) === 'fimble: ready', 60_000);
  await workbench.open(file);
  await page.evaluate(installClock);
  const [program, ...words] = whyCommand;
  const why = () => promisify(execFile)(program, words, { env: environment }).then(({ stdout }) => JSON.parse(stdout), () => null);
  const seen = [];
  for (const { line, keys } of trials) {
    await workbench.goToEnd(line);
    await page.waitForTimeout(REST_MS);
    for (const key of keys) {
      const ms = await timeOf(page, key);
      const ghost = await workbench.ghostText();
      const explanation = await why();
      const { timings_ms: server = null, source = null, outcome = null } = explanation ?? {};
      seen.push({ line, key, ms, ghost, server, source, outcome });
    }
    await page.keyboard.press('Escape');
  }
  return seen;
});
