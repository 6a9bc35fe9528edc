// Opens a workbench whose address makes VS Code run our tests inside its extension host.
import { main } from './workbench.mjs';

const PATIENCE_MS = 200_000;

const said = [];
let code;

async function listen(page) {
  // What VS Code calls on the page of a test run.
  await page.exposeFunction('codeAutomationLog', (_, args) => said.push(String(args)));
  await page.exposeFunction('codeAutomationExit', (value) => { code = value; });
}

await main(async (workbench, { screenshots }) => {
  const { page } = workbench;
  const startedAt = Date.now();
  while (code === undefined && Date.now() - startedAt < PATIENCE_MS) {
    await workbench.notifications().catch(() => undefined);
    await page.waitForTimeout(100);
  }
  await page.screenshot({ path: `${screenshots}/host_tests.png` });
  const notifications = [...workbench.popUps].map((item) => JSON.parse(item));
  return { code, said, notifications, seconds: (Date.now() - startedAt) / 1000 };
}, listen);
