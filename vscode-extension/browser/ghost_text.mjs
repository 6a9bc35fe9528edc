// A person opens a file, types, reads ghost text, and takes it with Tab.
import { main } from './workbench.mjs';

await main(async (workbench, { screenshots }) => {
  const { page } = workbench;
  await workbench.until('fimble is ready', async () => (await workbench.status()) === 'fimble: ready');
  const isRestricted = await page.locator('.statusbar-item', { hasText: 'Restricted Mode' }).count() > 0;
  await workbench.open('shapes.py');
  await workbench.goToEnd(2);
  await workbench.type('return wid', 60);
  const ghost = await workbench.until('there is ghost text', () => workbench.ghostText());
  const drawn = (await workbench.lines())[1];
  await page.screenshot({ path: `${screenshots}/ghost.png` });
  await page.keyboard.press('Tab');
  await workbench.until('it is taken', async () => (await workbench.ghostText()) === '');
  const taken = (await workbench.lines())[1];
  await page.screenshot({ path: `${screenshots}/accepted.png` });
  await page.keyboard.press('Control+S');
  await workbench.until('it is saved', () => page.evaluate(() => document.querySelector('.tab.active.dirty') === null));
  const [dashboard] = await Promise.all([
    page.waitForEvent('popup', { timeout: 15_000 }),
    workbench.run('fimble: Open Dashboard'),
  ]);
  const address = dashboard.url().replace(/\d+/g, '0').replace(/ticket=[\w-]+/, 'ticket=T');
  await dashboard.close();
  return { isRestricted, ghost, drawn, taken, dashboard: address, notifications: await workbench.notifications(), pageErrors: workbench.pageErrors };
});
