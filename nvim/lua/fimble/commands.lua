--- `:Fimble`, and the completion of its arguments.

local client = require('fimble.client')
local config = require('fimble.config')
local ghost = require('fimble.ghost')
local server = require('fimble.server')
local status = require('fimble.status')
local switch = require('fimble.switch')
local window = require('fimble.window')

local M = {}

---@param text string
---@param level? integer
local function say(text, level)
  vim.notify('fimble: ' .. text, level or vim.log.levels.INFO)
end

--- Return what one wants to know at a glance, in lines.
---@return string[]
function M.status_lines()
  local buf = vim.api.nvim_get_current_buf()
  local command, source = server.command()
  local lines = {
    'state     ' .. status.sentence(),
    ('server    %s (%s)'):format(command and table.concat(command, ' ') or 'none', source),
    ('ghost     %s'):format(ghost.is_builtin() and 'of Neovim' or 'of this plugin'),
  }
  local allowed, reason = config.allows(buf)
  local attached = vim.lsp.get_clients({ name = 'fimble', bufnr = buf })[1]
  local here = attached and ('attached, client %d'):format(attached.id)
    or (allowed and 'not attached' or 'not attached, as ' .. reason)
  table.insert(lines, 'file      ' .. here)
  local on = switch.is_on() and (switch.is_on(buf) and 'on' or 'off for this file') or 'off'
  table.insert(lines, 'switched  ' .. on)
  return lines
end

---@param value boolean
---@param scope? string 'buffer' or a type of file
local function enable(value, scope)
  if scope == 'buffer' then
    switch.set(value, vim.api.nvim_get_current_buf())
  else
    switch.set(value, scope)
  end
  local where = scope == 'buffer' and 'for this file' or scope and ('for ' .. scope) or ''
  local said = vim.trim(('suggestions are %s %s'):format(value and 'on' or 'off', where))
  if value and not switch.is_on() then
    said = said .. ', but off for all; see :Fimble enable'
  elseif value and not switch.is_on(vim.api.nvim_get_current_buf()) then
    said = said .. ', but off for this file'
  end
  say(said)
end

local function toggle(scope)
  local buf = vim.api.nvim_get_current_buf()
  if scope == 'buffer' then
    enable(not switch.is_on(buf), scope)
  else
    enable(not switch.is_on(), nil)
  end
end

local function log()
  local own = vim.lsp.log.get_filename and vim.lsp.log.get_filename() or vim.lsp.get_log_path()
  local show = window.split('fimble://log', { 'Neovim, with what the server wrote: ' .. own, '' })
  local running = server.run({ 'daemon', 'logs' }, function(finished)
    local text = vim.trim((finished.stdout or '') .. (finished.stderr or ''))
    show(vim.split(text, '\n', { plain = true }))
  end)
  if not running then
    show({ 'The daemon cannot be asked for its log: the program was not found.' })
  end
end

local function dashboard()
  local params = { command = 'fimble.dashboard', arguments = {} }
  client.ask('workspace/executeCommand', params, function(result)
    local url = type(result) == 'table' and result.url
    if not url then
      say('this server has no dashboard', vim.log.levels.WARN)
      return
    end
    local _, failure = vim.ui.open(url)
    -- The address holds a token: it is shown only to those who have to open it by hand.
    say(failure and ('open ' .. url) or 'the dashboard is in your browser')
  end)
end

local function restart()
  say('restarting the server')
  client.restart()
end

---@type table<string, fun(argument?: string)>
local commands = {
  status = function()
    window.float('fimble', M.status_lines())
  end,
  why = function(id)
    require('fimble.why').show(id)
  end,
  toggle = toggle,
  enable = function(scope)
    enable(true, scope)
  end,
  disable = function(scope)
    enable(false, scope)
  end,
  log = log,
  restart = restart,
  dashboard = dashboard,
  install = function()
    require('fimble.install').run()
  end,
}

---@param words string[] of which the last is being typed
---@return string[]
local function candidates(words)
  if #words <= 1 then
    return vim.tbl_keys(commands)
  elseif #words == 2 and (words[1] == 'enable' or words[1] == 'disable') then
    return vim.list_extend({ 'buffer' }, vim.fn.getcompletion(words[2], 'filetype'))
  elseif #words == 2 and words[1] == 'toggle' then
    return { 'buffer' }
  end
  return {}
end

--- Return the arguments that may stand where the last word of a command line is.
---@param typed string
---@param line string
---@return string[]
function M.complete(typed, line)
  local words = vim.split(line:match('Fimble!?%s+(.*)') or '', '%s+')
  local found = vim.tbl_filter(function(candidate)
    return vim.startswith(candidate, typed)
  end, candidates(words))
  table.sort(found)
  return found
end

--- Define the command.
function M.define()
  vim.api.nvim_create_user_command('Fimble', function(call)
    local name, argument = call.fargs[1] or 'status', call.fargs[2]
    local run = commands[name]
    if run then
      run(argument)
    else
      say(('there is no :Fimble %s'):format(name), vim.log.levels.ERROR)
    end
  end, { nargs = '*', complete = M.complete, desc = 'fimble: look at it and steer it' })
end

return M
