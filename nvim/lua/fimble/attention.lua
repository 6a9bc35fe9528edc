--- What the server cannot see by itself: where the cursor rests, and what was yanked.
---
--- It prepares for typing there, and shows the model what was yanked.

local config = require('fimble.config')
local switch = require('fimble.switch')

local M = {}

local REST_MS = 100
local MAX_YANK_BYTES = 10000

--- Return the client that may learn of a buffer: none where suggestions are switched off.
---@param buf integer
---@return vim.lsp.Client?
local function client_of(buf)
  return switch.is_on(buf) and vim.lsp.get_clients({ name = 'fimble', bufnr = buf })[1] or nil
end

local function tell_cursor()
  local client = client_of(vim.api.nvim_get_current_buf())
  if client and vim.api.nvim_get_mode().mode:sub(1, 1) == 'n' then
    local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
    client:notify('fimble/didMoveCursor', params)
  end
end

---@param event table
local function tell_yank(event)
  local yank = vim.v.event
  local client = client_of(event.buf)
  if not client or yank.operator ~= 'y' or not config.get().tell_yanks then
    return
  end
  local text = table.concat(yank.regcontents, '\n')
  if #text <= MAX_YANK_BYTES then
    client:notify('fimble/didCopy', { text = text })
  end
end

--- Tell of it from now on. A key that moves the cursor costs the start of a timer.
function M.follow()
  local timer, on_rest = assert(vim.uv.new_timer()), vim.schedule_wrap(tell_cursor)
  local group = vim.api.nvim_create_augroup('fimble.attention', {})
  vim.api.nvim_create_autocmd({ 'CursorMoved', 'BufEnter' }, {
    group = group,
    callback = function()
      timer:start(REST_MS, 0, on_rest)
    end,
  })
  vim.api.nvim_create_autocmd('TextYankPost', { group = group, callback = tell_yank })
end

return M
