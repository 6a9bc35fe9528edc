--- Ghost text for Neovim 0.11, which has none: extmarks, drawn anew at each key.

local M = {}

local space = vim.api.nvim_create_namespace('fimble')
local MARK = 1

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
  local lines = vim.split(without_tabs(rest, session.buf), '\n', { plain = true })
  local first, position = lines[1], 'inline'
  if suggestion.tail ~= '' then
    if #lines == 1 and vim.endswith(first, suggestion.tail) then
      first = first:sub(1, #first - #suggestion.tail)
    else
      position = 'overlay'
    end
  end
  local below = {}
  for i = 2, #lines do
    table.insert(below, { { lines[i], 'FimbleGhost' } })
  end
  local head = { { first, 'FimbleGhost' } }
  if session.is_cycling then
    local count = (' (%d/%d)'):format(session.index, #session.suggestions)
    table.insert(below[#below] or head, { count, 'FimbleGhostMore' })
  end
  vim.api.nvim_buf_set_extmark(session.buf, space, row, col, {
    id = MARK,
    virt_text = head,
    virt_text_pos = position,
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

--- Begin to ask for suggestions in a buffer.
---@param session fimble.Session
---@param _client vim.lsp.Client
---@param ghost table
function M.attach(session, _client, ghost)
  session.timer = session.timer or assert(vim.uv.new_timer())
  session.on_rest = session.on_rest
    or vim.schedule_wrap(function()
      ghost.request(session)
    end)
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

--- Ask when no key follows for a moment.
---@param session fimble.Session
---@param debounce_ms integer
function M.moved(session, debounce_ms)
  session.timer:start(debounce_ms, 0, session.on_rest)
end

--- Ask no more until the next key.
---@param session fimble.Session
function M.rest(session)
  if session.timer then
    session.timer:stop()
  end
end

return M
