--- `:checkhealth fimble`

local client = require('fimble.client')
local config = require('fimble.config')
local ghost = require('fimble.ghost')
local keys = require('fimble.keys')
local server = require('fimble.server')
local status = require('fimble.status')
local switch = require('fimble.switch')

local health = vim.health

local M = {}

local TIMEOUT_MS = 10000
-- Others that draw ghost text or take the same keys: the name, and how one sees that it is there.
local OTHERS = {
  ['copilot.vim'] = { variable = 'loaded_copilot' },
  ['copilot.lua'] = { module = 'copilot' },
  ['codeium.vim or windsurf.vim'] = { variable = 'loaded_codeium' },
  ['codeium.nvim or windsurf.nvim'] = { module = 'codeium' },
  ['supermaven-nvim'] = { module = 'supermaven-nvim' },
  ['tabnine-nvim'] = { module = 'tabnine' },
  ['minuet-ai.nvim'] = { module = 'minuet' },
  ['llama.vim'] = { variable = 'loaded_llama' },
  ['vim-tabby'] = { variable = 'loaded_tabby' },
}

---@param words string[]
---@return string? output nil if the command failed
---@return string? failure
local function answer_of(words)
  local running = server.run(words)
  if not running then
    return nil, 'the program was not found'
  end
  local finished = running:wait(TIMEOUT_MS)
  if finished.code ~= 0 then
    local told = vim.trim((finished.stderr or '') .. (finished.stdout or ''))
    return nil, told ~= '' and told or ('it ended with code %d'):format(finished.code)
  end
  return vim.trim(finished.stdout or '')
end

local function check_neovim()
  health.start('fimble: Neovim')
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.11') == 0 then
    health.error(('Neovim %s is too old'):format(version), 'Install 0.11 or later.')
  elseif ghost.is_builtin() then
    health.ok(('Neovim %s; ghost text by vim.lsp.inline_completion'):format(version))
  else
    health.ok(('Neovim %s; ghost text by this plugin'):format(version))
  end
  for _, problem in ipairs(config.problems()) do
    health.warn(problem, 'See :help fimble-options.')
  end
end

---@return boolean whether there is one
local function check_server()
  health.start('fimble: server')
  local command, source = server.command()
  if not command or not server.is_found() then
    health.error('no server was found' .. (command and (': ' .. command[1]) or ''), {
      'Run :Fimble install, which makes an environment of its own,',
      'or put fimble on PATH, or name it: vim.g.fimble = { cmd = "…/fimble" }.',
    })
    return false
  end
  health.ok(('found by %s: %s'):format(source, table.concat(command, ' ')))
  local version, failure = answer_of({ '--version' })
  if version then
    health.ok('its version: ' .. version)
  else
    health.error('it cannot be run: ' .. failure, 'Run its command in a terminal.')
  end
  return version ~= nil
end

local function check_daemon()
  local text = answer_of({ 'daemon', 'status', '--json' })
  local ok, daemon = pcall(vim.json.decode, text or '')
  if not ok or type(daemon) ~= 'table' then
    health.info('no daemon is running; it starts with the first file')
    return
  end
  health.ok(('the daemon runs: process %s, version %s'):format(daemon.pid, daemon.version))
  for _, model in ipairs(daemon.models or {}) do
    local line = ('model %s: %s'):format(model.name, model.state)
    if model.state == 'error' or model.state == 'failed' then
      health.error(line, 'Run `fimble doctor` in a terminal.')
    else
      health.ok(line)
    end
  end
end

local function check_client()
  health.start('fimble: client')
  local found = client.get()
  local state = status.current()
  if not found then
    health.info('no file is attached; open one')
  else
    local num_bufs = vim.tbl_count(found.attached_buffers)
    health.ok(('client %d is attached to %d files'):format(found.id, num_bufs))
  end
  local line = 'state: ' .. status.sentence()
  if state.state == 'error' then
    health.error(line, 'See :Fimble log.')
  else
    health.info(line)
  end
  if not switch.is_on() then
    health.warn('suggestions are switched off', 'Switch them on: :Fimble enable.')
  end
end

--- Return what holds a key where somebody types; the page that tells it has no keys of its own.
---@param name string
---@return string?
local function holder(name)
  local found = client.get()
  local buf = found and next(found.attached_buffers)
  if not buf or not vim.api.nvim_buf_is_valid(buf) then
    return keys.holder(name)
  end
  return vim.api.nvim_buf_call(buf, function()
    return keys.holder(name)
  end)
end

local function check_keys()
  health.start('fimble: keys')
  local chosen = config.get().keys
  if not chosen then
    health.info('no keys are mapped; see :help fimble-mappings')
    return
  end
  for name in vim.spairs(keys.actions) do
    local key = chosen[name]
    local taken_by = key and holder(name)
    if not key then
      health.info(('%s has no key'):format(name))
    elseif taken_by then
      health.warn(
        ('%s, meant to %s, is taken by: %s'):format(key, keys.actions[name].description, taken_by),
        ('Choose another key, or map it to <Plug>(fimble-%s).'):format((name:gsub('_', '-')))
      )
    else
      health.ok(('%s: %s'):format(key, keys.actions[name].description))
    end
  end
end

local function check_others()
  health.start('fimble: other plugins')
  local num_found = 0
  for name, sign in vim.spairs(OTHERS) do
    local is_there = sign.variable and vim.g[sign.variable] or package.loaded[sign.module or '']
    if is_there then
      num_found = num_found + 1
      health.warn(name .. ' is loaded and draws ghost text too', 'Use one of them per file.')
    end
  end
  for _, other in ipairs(vim.lsp.get_clients()) do
    if other.name ~= 'fimble' and other.server_capabilities.inlineCompletionProvider then
      num_found = num_found + 1
      health.warn(
        ('the language server %s offers ghost text too'):format(other.name),
        'Neovim shows the suggestions of all; end it with :lua vim.lsp.enable(name, false).'
      )
    end
  end
  if num_found == 0 then
    health.ok('no other source of ghost text was found')
  end
end

--- Say what works and what to do about the rest.
function M.check()
  check_neovim()
  if check_server() then
    check_daemon()
  end
  check_client()
  check_keys()
  check_others()
end

return M
