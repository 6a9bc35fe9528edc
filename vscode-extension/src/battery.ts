// Whether to save power: by the setting, or by what Linux and macOS say of the battery.
import { readdir, readFile } from 'node:fs/promises';
import * as path from 'node:path';
import type { Run } from './programs';

export interface PowerSource {
  readonly platform: NodeJS.Platform;
  readonly run: Run;
  /** Where Linux describes what gives power. */
  readonly folder: string;
}

/** Whether the machine runs on its battery; false where that cannot be told. */
export async function isOnBattery({ platform, run, folder }: PowerSource): Promise<boolean> {
  if (platform === 'linux') {
    return isDischarging(folder);
  }
  if (platform === 'darwin') {
    const said = await run(['pmset', '-g', 'batt'], { timeoutMs: 5000 });
    return said.output.includes("'Battery Power'");
  }
  return false;
}

/** Whether a battery of the machine discharges; those of mice and keyboards do not count. */
async function isDischarging(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const [type, scope, status] = await Promise.all(
      ['type', 'scope', 'status'].map((file) => read(path.join(folder, name, file))),
    );
    if (type === 'Battery' && scope !== 'Device' && status === 'Discharging') {
      return true;
    }
  }
  return false;
}

async function read(file: string): Promise<string> {
  return (await readFile(file, 'utf8').catch(() => '')).trim();
}
