import './styles/fonts.css';
import './styles/base.css';
import './styles/shell.css';
import './styles/parts.css';
import './styles/requests.css';
import './styles/detail.css';
import './styles/overview.css';
import './styles/playground.css';

import { render } from 'preact';

import { Shell } from './shell';
import { follow } from './state';

const root = document.getElementById('app');
if (root !== null) {
  root.replaceChildren();
  render(<Shell />, root);
  void follow();
}
