--- Windows that show text and go away.

local M = {}

---@param lines string[]
---@return integer
local function scratch(lines)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].modifiable = false
  return buf
end

---@param buf integer
---@param win integer
local function close_by_key(buf, win)
  for _, key in ipairs({ 'q', '<Esc>' }) do
    vim.keymap.set('n', key, function()
      pcall(vim.api.nvim_win_close, win, true)
    end, { buffer = buf, nowait = true, desc = 'close' })
  end
end

---@class fimble.Mark
---@field row integer
---@field first integer
---@field last integer
---@field group string

--- Show lines in a floating window, which `q`, Escape and leaving it close.
---@param title string
---@param lines string[]
---@param marks? fimble.Mark[] what is highlighted
---@return integer win
function M.float(title, lines, marks)
  local buf = scratch(lines)
  local width = 20
  for _, line in ipairs(lines) do
    width = math.max(width, vim.fn.strdisplaywidth(line))
  end
  width = math.min(width + 1, vim.o.columns - 4)
  local num_rows = 0
  for _, line in ipairs(lines) do
    num_rows = num_rows + math.max(math.ceil(vim.fn.strdisplaywidth(line) / width), 1)
  end
  local height = math.max(math.min(num_rows, vim.o.lines - 5), 1)
  local win = vim.api.nvim_open_win(buf, true, {
    relative = 'editor',
    row = math.max(math.floor((vim.o.lines - height) / 2) - 1, 0),
    col = math.floor((vim.o.columns - width) / 2),
    width = width,
    height = height,
    style = 'minimal',
    border = 'rounded',
    title = (' %s '):format(title),
  })
  vim.wo[win].wrap = true
  local space = vim.api.nvim_create_namespace('fimble.window')
  for _, mark in ipairs(marks or {}) do
    vim.api.nvim_buf_set_extmark(buf, space, mark.row, mark.first, {
      end_col = mark.last,
      hl_group = mark.group,
    })
  end
  close_by_key(buf, win)
  vim.api.nvim_create_autocmd('WinLeave', {
    buffer = buf,
    once = true,
    callback = function()
      vim.schedule(function()
        pcall(vim.api.nvim_win_close, win, true)
      end)
    end,
  })
  return win
end

--- Show lines in a split below, which `q` and Escape close, and return how to add more.
---@param name string
---@param lines string[]
---@return fun(more: string[])
function M.split(name, lines)
  local buf = scratch(lines)
  vim.cmd('botright 15split')
  local win = vim.api.nvim_get_current_win()
  vim.api.nvim_win_set_buf(win, buf)
  pcall(vim.api.nvim_buf_set_name, buf, name)
  close_by_key(buf, win)
  local function to_end()
    if vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_set_cursor(win, { vim.api.nvim_buf_line_count(buf), 0 })
    end
  end
  to_end()
  return function(more)
    if vim.api.nvim_buf_is_valid(buf) then
      vim.bo[buf].modifiable = true
      vim.api.nvim_buf_set_lines(buf, -1, -1, false, more)
      vim.bo[buf].modifiable = false
      to_end()
    end
  end
end

return M
