// An afternoon of a person, in a minute: types, takes words, takes back, changes files, renames,
// saves, reloads, and loses the daemon on the way. A picture of every step.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { main } from './workbench.mjs';

const KEY_MS = 200;
const CHECK_MS = 120;
const HEAD = 'def area(width, height):';
const BODY = '    return wid';
const WHOLE = '    return width * height';

class Person {
  constructor(workbench, task) {
    this.workbench = workbench;
    this.task = task;
    this.pictures = 0;
    this.mismatches = [];
    this.notes = {};
  }

  async picture(name) {
    this.pictures += 1;
    await this.workbench.notifications();
    const number = String(this.pictures).padStart(2, '0');
    await this.workbench.page.screenshot({ path: `${this.task.screenshots}/${number}_${name}.png` });
  }

  /** Types at a person's pace and looks behind every key at what is drawn. */
  async type(text, alreadyTyped = '') {
    let typed = alreadyTyped;
    for (const character of text) {
      await this.workbench.type(character);
      typed = character === '\n' ? '' : typed + character;
      await this.workbench.page.waitForTimeout(CHECK_MS);
      await this.check(typed);
      await this.workbench.page.waitForTimeout(KEY_MS - CHECK_MS);
    }
  }

  /** The cursor's line is what was typed, with ghost text behind it or without, and nothing else. */
  async check(typed) {
    const { line, own } = await cursorLine(this.workbench.page);
    const wanted = typed.trim();
    const drawn = own.trim();
    // VS Code closes brackets by itself.
    if (!line.trim().startsWith(wanted) || !drawn.startsWith(wanted) || !/^[)\]}'"]*$/.test(drawn.slice(wanted.length).trim())) {
      this.mismatches.push({ typed, line, own });
    }
  }

  async waitForGhost(patienceMs) {
    return this.workbench.until('there is ghost text', () => this.workbench.ghostText(), patienceMs);
  }
}

/** What is drawn of the line that the cursor is in, and that without its ghost text. */
function cursorLine(page) {
  return page.evaluate(() => {
    const editor = document.querySelector('.editor-group-container.active .monaco-editor');
    const cursor = editor.querySelector('.cursors-layer .cursor').getBoundingClientRect();
    const middle = cursor.top + cursor.height / 2;
    const line = [...editor.querySelectorAll('.view-lines .view-line')].find((each) => {
      const box = each.getBoundingClientRect();
      return box.top <= middle && middle < box.bottom;
    });
    const plain = (text) => text.replaceAll('\u00a0', ' ');
    const own = line?.cloneNode(true);
    own?.querySelectorAll('[class*="ghost-text"]').forEach((each) => each.remove());
    return { line: plain(line?.textContent ?? ''), own: plain(own?.textContent ?? '') };
  });
}

/** Leaves a function by an empty line and takes back the indentation. */
async function typesHead(person, head) {
  const { page } = person.workbench;
  await page.keyboard.press('Control+End');
  await person.type('\n\n');
  await page.keyboard.press('Backspace');
  await person.type(`${head}\n`);
}

async function typesAFunction(person) {
  const { workbench } = person;
  await workbench.open('shapes.py');
  await workbench.page.keyboard.press('Control+End');
  await person.type(`${HEAD}\n`);
  await person.type('return wid');
  await person.waitForGhost(8000);
  await person.picture('typed');
}

async function takesWordsAndTakesBack(person) {
  const { page } = person.workbench;
  await page.keyboard.press('Control+ArrowRight');
  await page.waitForTimeout(400);
  person.notes.afterWord = (await cursorLine(page)).own;
  await person.picture('word_accepted');
  await page.keyboard.press('Control+z');
  await page.waitForTimeout(400);
  person.notes.afterUndo = (await cursorLine(page)).own;
  await person.picture('undone');
  await page.keyboard.press('End');
  await person.type('t', BODY);
  await person.waitForGhost(8000);
  await page.keyboard.press('Tab');
  await page.waitForTimeout(300);
  person.notes.afterTab = (await cursorLine(page)).own;
  await person.picture('accepted');
}

async function changesFiles(person) {
  const { workbench } = person;
  await workbench.open('pace.py');
  await workbench.page.keyboard.press('Control+End');
  await person.type('\ndef pace_of(trig', '');
  await person.picture('other_file');
  await workbench.page.keyboard.press('Escape');
  await workbench.run('File: Revert File');
  await workbench.until('it is as it was', () => workbench.page.evaluate(() => document.querySelector('.tab.active.dirty') === null));
  await workbench.change('shapes.py');
}

async function savesAndRenames(person) {
  const { workbench } = person;
  const { page } = workbench;
  await page.keyboard.press('Control+s');
  await workbench.until('it is saved', () => page.evaluate(() => document.querySelector('.tab.active.dirty') === null));
  await workbench.run('File: Reveal Active File in Explorer View');
  await page.waitForTimeout(500);
  await page.keyboard.press('F2');
  const box = page.locator('.explorer-item-edited input, .explorer-viewlet .monaco-inputbox input').first();
  await box.waitFor({ timeout: 5000 });
  await box.fill('figures.py');
  await page.keyboard.press('Enter');
  await page.locator('.tab.active', { hasText: 'figures.py' }).waitFor({ timeout: 8000 });
  await workbench.focus();
  await typesHead(person, 'def volume(width, height, depth):');
  await person.type('return wid');
  await person.waitForGhost(8000);
  await person.picture('renamed');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Control+s');
}

async function reloads(person) {
  const { workbench } = person;
  const { page } = workbench;
  await page.waitForTimeout(500);
  await workbench.reload();
  await page.locator('.tab.active', { hasText: 'figures.py' }).waitFor({ timeout: 20_000 });
  await workbench.until('fimble is ready', async () => (await workbench.status()) === 'fimble: ready');
  await workbench.focus();
  await typesHead(person, 'def perimeter(width, height):');
  await person.type('return 2 * (wid');
  await person.waitForGhost(8000);
  await person.picture('reloaded');
}

/** Ends the daemon without a word, goes on typing, and measures until it is back. */
async function losesTheDaemon(person) {
  const { workbench, task } = person;
  const [program, ...words] = task.daemonStatus;
  const { stdout } = await promisify(execFile)(program, words, { env: task.environment });
  process.kill(JSON.parse(stdout).pid, 'SIGKILL');
  const killedAt = Date.now();
  await workbench.page.keyboard.press('Escape');
  const states = [];
  const watch = watchStatus(workbench, killedAt, states);
  await person.type('th + he', '    return 2 * (wid');
  const typedAt = Date.now();
  await person.picture('daemon_killed');
  await person.waitForGhost(20_000).catch(() => undefined);
  person.notes.ghostAfterKillS = (Date.now() - killedAt) / 1000;
  person.notes.typedAfterKillS = (typedAt - killedAt) / 1000;
  person.notes.ghostAfterKill = await workbench.ghostText();
  await person.picture('daemon_back');
  clearInterval(watch);
  person.notes.statesAfterKill = states;
  await workbench.page.keyboard.press('Tab');
  await workbench.page.keyboard.press('Control+s');
  await workbench.page.waitForTimeout(700);
  await person.picture('end');
}

function watchStatus(workbench, since, states) {
  let last;
  return setInterval(() => {
    workbench.status().then((status) => {
      if (status !== last) {
        last = status;
        states.push({ status, afterS: (Date.now() - since) / 1000 });
      }
    }, () => undefined);
  }, 50);
}

await main(async (workbench, task) => {
  const person = new Person(workbench, task);
  await workbench.until('fimble is ready', async () => (await workbench.status()) === 'fimble: ready', 60_000);
  await person.picture('ready');
  for (const step of [typesAFunction, takesWordsAndTakesBack, changesFiles, savesAndRenames, reloads, losesTheDaemon]) {
    await step(person);
  }
  return {
    ...person.notes,
    whole: WHOLE,
    mismatches: person.mismatches,
    notifications: await workbench.notifications(),
    pageErrors: workbench.pageErrors,
  };
});
