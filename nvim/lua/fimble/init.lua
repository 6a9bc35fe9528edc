--- Ghost text by fimble, a completion server on this machine. `:help fimble` has it all.

local M = {}

local ghost = require('fimble.ghost')
local keys = require('fimble.keys')

---@param name string
---@param link_to string
local function link(name, link_to)
  vim.api.nvim_set_hl(0, name, { link = link_to, default = true })
end

local function define_colours()
  local has_hint = vim.fn.hlexists('ComplHint') == 1
  link('FimbleGhost', has_hint and 'ComplHint' or 'Comment')
  link('FimbleGhostMore', has_hint and 'ComplHintMore' or 'NonText')
end

--- Do something once Neovim has read the user's configuration, so that its keys are known.
---@param action fun()
local function when_started(action)
  if vim.v.vim_did_enter == 1 then
    action()
  else
    vim.api.nvim_create_autocmd('VimEnter', { once = true, callback = action })
  end
end

--- Begin, with the options that are known by now; the plugin file calls this.
function M.start()
  define_colours()
  vim.api.nvim_create_autocmd('ColorScheme', {
    group = vim.api.nvim_create_augroup('fimble.colours', {}),
    callback = define_colours,
  })
  keys.define()
  require('fimble.commands').define()
  local client = require('fimble.client')
  client.follow()
  require('fimble.attention').follow()
  client.start()
  when_started(keys.apply)
end

--- Change options; without a call the defaults and `vim.g.fimble` count.
---@param options? table see |fimble-options|
function M.setup(options)
  require('fimble.config').set(options)
  for _, problem in ipairs(require('fimble.config').problems()) do
    vim.notify('fimble: ' .. problem, vim.log.levels.WARN)
  end
  require('fimble.switch').set(require('fimble.config').get().enabled)
  if vim.v.vim_did_enter == 1 then
    keys.apply()
  end
end

--- Accept the whole suggestion.
---@return boolean whether there was one
function M.accept()
  return ghost.accept('all')
end

--- Accept the next word of the suggestion.
---@return boolean whether there was one
function M.accept_word()
  return ghost.accept('word')
end

--- Accept the rest of the line; at its end, the next line.
---@return boolean whether there was one
function M.accept_line()
  return ghost.accept('line')
end

--- Show the next candidate.
---@return boolean whether there is more than one
function M.next()
  return ghost.select(1)
end

--- Show the candidate before.
---@return boolean whether there is more than one
function M.previous()
  return ghost.select(-1)
end

--- Take the suggestion away.
---@return boolean whether there was one
function M.dismiss()
  return ghost.dismiss()
end

--- Ask for a suggestion now.
---@return boolean whether that can be
function M.trigger()
  return ghost.trigger()
end

--- Whether a suggestion is shown at the cursor.
---@return boolean
function M.is_visible()
  return ghost.visible() ~= nil
end

--- Return a few words for the status line, with its percent signs doubled.
---
--- Costs a few looks into tables.
---@return string
function M.statusline()
  return require('fimble.status').line()
end

--- Return the state that the status line is made of.
---@return fimble.Status
function M.status()
  return require('fimble.status').current()
end

return M
