// VS Code in a browser without a window: what a person sees of it and does to it.
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const PATIENCE_MS = 30_000;

/**
 * Starts the browser and gives `work` an open workbench; the browser ends with it.
 *
 * `prepare` gets the page while it is empty. A page must be opened once only: the extension host of an
 * earlier opening lives on without a window, and of a test run it would write a report of its own.
 */
export async function withWorkbench({ browser, url }, work, prepare) {
  const started = await chromium.launch({ executablePath: browser, headless: true, args: FLAGS });
  try {
    const page = await started.newPage({ viewport: { width: 1100, height: 700 } });
    await prepare?.(page);
    const workbench = new Workbench(page);
    await workbench.goto(url);
    return await work(workbench);
  } finally {
    await started.close();
  }
}

export class Workbench {
  constructor(page) {
    this.page = page;
    this.pageErrors = [];
    this.popUps = new Set();
    page.on('pageerror', (error) => this.pageErrors.push(String(error)));
  }

  async goto(url) {
    await this.page.goto(url);
    await this.page.waitForSelector('.monaco-workbench .part.editor', { timeout: PATIENCE_MS });
  }

  async reload() {
    await this.page.reload();
    await this.page.waitForSelector('.monaco-workbench .part.editor', { timeout: PATIENCE_MS });
  }

  /** Opens a file by its name, as Ctrl+P does. */
  async open(name) {
    const { page } = this;
    await this.until(`${name} is open`, async () => {
      await page.keyboard.press('Control+P');
      const input = await page.waitForSelector('.quick-input-widget input', { timeout: 5000 });
      await input.fill(name);
      const row = page.locator('.quick-input-list .monaco-list-row', { hasText: name }).first();
      await row.click({ timeout: 5000 }).catch(() => undefined);
      const tab = page.locator('.tab.active', { hasText: name });
      return tab.waitFor({ timeout: 3000 }).then(() => true, () => page.keyboard.press('Escape').then(() => false));
    });
    await this.focus();
  }

  /** Changes to a file that is open already, by its tab. */
  async change(name) {
    await this.page.locator('.tab', { hasText: name }).click();
    await this.page.locator('.tab.active', { hasText: name }).waitFor();
    await this.focus();
  }

  async focus() {
    await this.page.click('.editor-group-container.active .monaco-editor .view-lines');
  }

  /** Runs a command by the name that it has in the palette. */
  async run(title) {
    await this.page.keyboard.press('F1');
    const input = await this.page.waitForSelector('.quick-input-widget input', { timeout: 5000 });
    await input.fill(`>${title}`);
    await this.page.locator('.quick-input-list .monaco-list-row', { hasText: title }).first().waitFor();
    await this.page.keyboard.press('Enter');
  }

  /** Puts the cursor into a line, counted from 1, behind its last character. */
  async goToEnd(line) {
    await this.page.keyboard.press('Control+G');
    const input = await this.page.waitForSelector('.quick-input-widget input', { timeout: 5000 });
    await input.fill(`:${line}`);
    await this.page.keyboard.press('Enter');
    await this.page.waitForSelector('.quick-input-widget', { state: 'hidden' });
    await this.page.keyboard.press('End');
  }

  async type(text, delayMs = 0) {
    for (const character of text) {
      await (character === '\n' ? this.page.keyboard.press('Enter') : this.page.keyboard.type(character));
      if (delayMs > 0) {
        await this.page.waitForTimeout(delayMs);
      }
    }
  }

  /** The ghost text in view, empty if there is none. */
  ghostText() {
    return this.page.evaluate(() => {
      const inLine = document.querySelectorAll('.ghost-text-decoration, .ghost-text-decoration-preview');
      const below = document.querySelectorAll('.ghost-text .view-line');
      const textOf = (parts) => [...parts].map((part) => part.textContent.replaceAll('\u00a0', ' '));
      return [textOf(inLine).join(''), ...textOf(below)].join('\n').trimEnd();
    });
  }

  /** What is drawn of the lines in view, ghost text and all. */
  lines() {
    return this.page.evaluate(() => {
      const lines = [...document.querySelectorAll('.editor-group-container.active .view-lines .view-line')];
      const top = (line) => Number.parseFloat(line.style.top);
      return lines.sort((a, b) => top(a) - top(b)).map((line) => line.textContent.replaceAll('\u00a0', ' '));
    });
  }

  /** The text of fimble's item in the status bar. */
  status() {
    return this.page.evaluate(() => document.querySelector('[id="fimble.fimble.fimble.status"]')?.ariaLabel ?? '');
  }

  /** Notes the notifications in view; returns all that were ever seen. */
  async notifications() {
    const seen = await this.page.evaluate(() =>
      [...document.querySelectorAll(':is(.notification-toast, .notifications-center) .notification-list-item')].map((item) => ({
        text: item.querySelector('.notification-list-item-message')?.textContent ?? '',
        isError: item.querySelector('.codicon-error') !== null,
        source: item.querySelector('.notification-list-item-source')?.textContent ?? '',
      })),
    );
    seen.forEach((item) => this.popUps.add(JSON.stringify(item)));
    return [...this.popUps].map((item) => JSON.parse(item));
  }

  async until(what, look, patienceMs = PATIENCE_MS) {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const seen = await look();
      if (seen) {
        return seen;
      }
      if (Date.now() > deadline) {
        throw new Error(`waited in vain until ${what}`);
      }
      await this.page.waitForTimeout(30);
    }
  }
}

/** Reads the task from standard input, does it, and writes what was seen as JSON. */
export async function main(work, prepare) {
  let input = '';
  for await (const part of process.stdin) {
    input += part;
  }
  const task = JSON.parse(input);
  const seen = await withWorkbench(task, async (workbench) => {
    try {
      return await work(workbench, task);
    } catch (error) {
      const screen = task.screenshots === undefined ? undefined : `${task.screenshots}/failed.png`;
      await workbench.page.screenshot({ path: screen });
      process.stderr.write(`${error.stack}\nthe status: ${await workbench.status()}\nthe lines: ${JSON.stringify(await workbench.lines())}\n`);
      process.exitCode = 1;
      return null;
    }
  }, prepare);
  process.stdout.write(JSON.stringify(seen));
}
