// Monaco's own work beside the page's thread.
import 'monaco-editor/editor/editor.worker';
