--- Whether suggestions are wanted: at all, in a buffer, in files of a type.

local config = require('fimble.config')
local status = require('fimble.status')

local M = {}

local is_on = nil ---@type boolean?
local off_filetypes = {} ---@type table<string, true>

--- Whether suggestions are switched on, for a buffer or for all.
---@param buf? integer
---@return boolean
function M.is_on(buf)
  if is_on == nil then
    is_on = config.get().enabled
  end
  if not is_on or not buf then
    return is_on
  end
  return vim.b[buf].fimble ~= false and not off_filetypes[vim.bo[buf].filetype]
end

--- Switch them on or off: for all, for a buffer, or for a type of file.
---@param value boolean
---@param scope? integer|string
function M.set(value, scope)
  if scope == nil then
    is_on = value
  elseif type(scope) == 'number' then
    vim.b[scope].fimble = value
  else
    off_filetypes[scope] = not value or nil
  end
  require('fimble.ghost').refresh()
  status.changed()
end

return M
