// Every test that runs inside VS Code.
import { defineCandidates } from './candidates';
import { definePauses } from './pauses';
import { defineGhostText } from './ghostText';
import { defineDocuments } from './documents';
import { defineQuickEdits } from './quickEdits';
import { defineServers } from './servers';
import { defineWhy } from './why';
import { defineWire } from './wire';

/** `workspaceName` is there so that a run may choose by what is open. */
export function defineTests(workspaceName: string): void {
  describe(`fimble in VS Code (${workspaceName})`, () => {
    defineGhostText();
    defineCandidates();
    defineWhy();
    definePauses();
    defineDocuments();
    defineQuickEdits();
    defineServers();
    defineWire();
  });
}
