--- Keys of insert mode. Each does what it did before wherever there is nothing for it to do.

local config = require('fimble.config')
local ghost = require('fimble.ghost')

local M = {}

---@class fimble.Action
---@field description string
---@field is_possible fun(): boolean
---@field keys string what is typed in its place

-- The text changes in the order of the keys: an expression that only schedules the change would
-- come after keys that are already typed.
local function call(code)
  return ('<Cmd>lua require("fimble").%s<CR>'):format(code)
end

local function is_visible()
  local has_chosen_from_menu = vim.fn.pumvisible() == 1
    and vim.fn.complete_info({ 'selected' }).selected >= 0
  return not has_chosen_from_menu and ghost.visible() ~= nil
end

---@type table<string, fimble.Action>
M.actions = {
  accept = { description = 'accept the suggestion', code = 'accept()' },
  accept_word = { description = 'accept a word of the suggestion', code = 'accept_word()' },
  accept_line = { description = 'accept a line of the suggestion', code = 'accept_line()' },
  next = { description = 'show the next suggestion', code = 'next()' },
  previous = { description = 'show the previous suggestion', code = 'previous()' },
  dismiss = { description = 'dismiss the suggestion', code = 'dismiss()' },
  trigger = { description = 'ask for a suggestion', code = 'trigger()' },
}

---@param name string
---@return string
local function plug(name)
  return ('<Plug>(fimble-%s)'):format(name:gsub('_', '-'))
end

---@param name string
---@return string
local function former(name)
  return ('<Plug>(fimble-former-%s)'):format(name:gsub('_', '-'))
end

--- Return the description that our mapping of an action has.
---@param name string
---@return string
function M.description(name)
  return 'fimble: ' .. M.actions[name].description
end

--- Return what a key means in all buffers, whatever the current one makes of it.
---@param key string
---@return table<string, any>? mapping as of `maparg`
local function global(key)
  local raw = vim.keycode(key)
  for _, mapping in ipairs(vim.api.nvim_get_keymap('i')) do
    if mapping.lhsraw == raw or mapping.lhsrawalt == raw then
      return mapping
    end
  end
end

--- Keep what a key did under a name of its own.
---@param name string
---@param key string
local function keep(name, key)
  local mapping = global(key)
  if not mapping then
    vim.keymap.set('i', former(name), key)
    return
  end
  mapping.lhs, mapping.lhsraw, mapping.lhsrawalt = former(name), vim.keycode(former(name)), nil
  if type(mapping.rhs) == 'string' and vim.startswith(mapping.rhs:lower(), key:lower()) then
    mapping.noremap = 1 -- it would find us
  end
  vim.fn.mapset('i', false, mapping)
end

---@param name string
---@param key string
local function set(name, key)
  keep(name, key)
  vim.keymap.set('i', key, function()
    if name == 'trigger' or is_visible() then
      return plug(name)
    end
    return former(name)
  end, { expr = true, remap = true, desc = M.description(name) })
end

--- Return what holds a key that fimble was to have, or nil if fimble has it.
---@param name string
---@return string?
function M.holder(name)
  local keys = config.get().keys
  local key = keys and keys[name]
  if not key then
    return nil
  end
  local mapping = vim.fn.maparg(key, 'i', false, true)
  if mapping.desc == M.description(name) then
    return nil
  end
  return mapping.desc or mapping.rhs or (mapping.callback and 'a function') or 'nothing'
end

--- Take a key back if nobody else has it by now.
---@param name string
---@param key string
local function unset(name, key)
  local ours, mapping = global(key), global(former(name))
  if ours and ours.desc == M.description(name) then
    vim.keymap.del('i', key)
    if mapping and vim.keycode(mapping.rhs or '') ~= vim.keycode(key) then
      mapping.lhs, mapping.lhsraw, mapping.lhsrawalt = key, vim.keycode(key), nil
      vim.fn.mapset('i', false, mapping)
    end
  end
end

local given = {} ---@type table<string, string>

--- Give the keys of the options their meaning, and those of earlier options theirs back.
function M.apply()
  for name, key in pairs(given) do
    unset(name, key)
  end
  given = {}
  for name, key in pairs(config.get().keys or {}) do
    if key and M.actions[name] and (name == 'accept' or not global(key)) then
      set(name, key)
      given[name] = key
    end
  end
end

--- Define the names that users map keys to themselves, and the one that an acceptance presses.
function M.define()
  vim.keymap.set('i', '<Plug>(fimble-undo-step)', '<C-g>u')
  -- Who accepts may leave insert mode at once, where those keys would undo the acceptance.
  vim.keymap.set({ 'n', 'x', 's', 'o', 'c', 't' }, '<Plug>(fimble-undo-step)', '<Nop>')
  for name, action in pairs(M.actions) do
    vim.keymap.set('i', plug(name), call(action.code), { desc = M.description(name) })
  end
end

return M
