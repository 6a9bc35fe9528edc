--- What is known of each buffer with suggestions, and where somebody types.

local api = vim.api

---@class fimble.Session what is known of a buffer
---@field buf integer
---@field client_id integer
---@field drawer table `fimble.builtin` or `fimble.own`
---@field take fun(session: fimble.Session, client: vim.lsp.Client, items: table[]) gets answers
---@field suggestions fimble.Suggestion[]
---@field index integer of the one shown
---@field is_cycling boolean whether the user looks through them
---@field pending? integer id of the request under way
---@field asked_at? string the place that the newest request is about
---@field dismissed_at? string the place at which the user wants none
---@field num_asked integer
---@field num_answered integer of the request that was answered last
---@field num_retries integer since the last key
---@field was_invoked boolean whether the next request is one that the user asked for
---@field deliver? function Neovim's own handler of answers
---@field timer? uv.uv_timer_t
---@field on_rest? function

local M = {}

M.all = {} ---@type table<integer, fimble.Session> by buffer

--- Return where the cursor is, counted from 0 and in bytes.
---@return integer row
---@return integer col
function M.cursor()
  local at = api.nvim_win_get_cursor(0)
  return at[1] - 1, at[2]
end

---@return boolean
function M.is_inserting()
  return api.nvim_get_mode().mode:sub(1, 1) == 'i'
end

--- Return the session of the current buffer.
---@return fimble.Session?
function M.current()
  return M.all[api.nvim_get_current_buf()]
end

--- Whether somebody types in the buffer of a session.
---@param session fimble.Session
---@return boolean
function M.is_here(session)
  return session.buf == api.nvim_get_current_buf() and M.is_inserting()
end

--- Return a name for the cursor's place in the current text; another place or text has another.
---@return string
function M.place()
  local version = vim.lsp.util.buf_versions[api.nvim_get_current_buf()] or 0
  return ('%d %d %d'):format(version, M.cursor())
end

return M
