--- Ghost text for Neovim 0.11, which has none: extmarks, drawn anew at each key.

local asking = require('fimble.asking')
local config = require('fimble.config')
local sessions = require('fimble.session')
local Suggestion = require('fimble.suggestion')

local M = {}

local space = vim.api.nvim_create_namespace('fimble')
local MARK = 1
-- Clients whose ghost text Neovim 0.12 must not draw as well.
local silenced = setmetatable({}, { __mode = 'k' }) ---@type table<vim.lsp.Client, true>

---@param text string
---@param buf integer
---@return string
local function without_tabs(text, buf)
  return (text:gsub('\t', (' '):rep(vim.bo[buf].tabstop)))
end

--- Show what is still to be typed of a suggestion at the cursor.
---@param session fimble.Session
---@param rest string
---@param row integer
---@param col integer
function M.show(session, rest, row, col)
  local suggestion = session.suggestions[session.index]
  local inserted = Suggestion.inserted(suggestion, rest)
  local text = without_tabs(inserted or rest, session.buf)
  local lines = vim.split(text, '\n', { plain = true })
  local below = {}
  for i = 2, #lines do
    table.insert(below, { { lines[i], 'FimbleGhost' } })
  end
  local head = { { lines[1], 'FimbleGhost' } }
  if session.is_cycling then
    local count = (' (%d/%d)'):format(session.index, #session.suggestions)
    table.insert(below[#below] or head, { count, 'FimbleGhostMore' })
  end
  vim.api.nvim_buf_set_extmark(session.buf, space, row, col, {
    id = MARK,
    virt_text = head,
    virt_text_pos = inserted and 'inline' or 'overlay',
    virt_lines = below,
    hl_mode = 'combine',
  })
end

--- Take it off the screen.
---@param session fimble.Session
function M.hide(session)
  if vim.api.nvim_buf_is_valid(session.buf) then
    vim.api.nvim_buf_del_extmark(session.buf, space, MARK)
  end
end

--- Show what has been answered.
---@param session fimble.Session
---@param row integer
---@param col integer
---@return boolean whether it is on the screen
function M.offer(session, row, col)
  local rest = Suggestion.rest(session.suggestions[session.index], session.buf, row, col)
  if rest then
    M.show(session, rest, row, col)
  end
  return rest ~= nil
end

--- Nobody else takes it away.
---@return boolean
function M.is_drawn()
  return true
end

--- Let Neovim draw the ghost text of a client again.
---@param client vim.lsp.Client
function M.unsilence(client)
  if silenced[client] then
    silenced[client] = nil
    vim.lsp.inline_completion.enable(true, { client_id = client.id })
  end
end

--- Begin to show suggestions in a buffer.
---@param session fimble.Session
---@param client vim.lsp.Client
function M.attach(session, client)
  session.timer = assert(vim.uv.new_timer())
  session.on_rest = vim.schedule_wrap(function()
    asking.request(session)
  end)
  if vim.lsp.inline_completion and not silenced[client] then
    silenced[client] = true
    vim.lsp.inline_completion.enable(false, { client_id = client.id })
  end
end

--- Stop that.
---@param session fimble.Session
function M.detach(session)
  if session.timer then
    session.timer:stop()
    session.timer:close()
    session.timer = nil
  end
end

--- Ask at once.
---@param session fimble.Session
---@param client vim.lsp.Client
function M.ask(session, client)
  asking.send(session, client)
end

--- Draw what still fits where the cursor is now, and ask when no key follows for a moment.
---@param session fimble.Session
---@param rest? string
function M.moved(session, rest)
  if rest then
    M.show(session, rest, sessions.cursor())
  end
  session.timer:start(config.get().debounce_ms, 0, session.on_rest)
end

--- Ask no more until the next key.
---@param session fimble.Session
function M.rest(session)
  if session.timer then
    session.timer:stop()
  end
end

return M
