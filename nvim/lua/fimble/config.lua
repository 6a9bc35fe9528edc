--- What the user has chosen: the defaults, then `vim.g.fimble`, then what `setup` was given.

---@class fimble.Keys
---@field accept string|false
---@field accept_word string|false
---@field accept_line string|false
---@field next string|false
---@field previous string|false
---@field dismiss string|false
---@field trigger string|false

---@class fimble.Options
---@field cmd? string|string[] the program, or the whole command of the language server
---@field enabled boolean whether suggestions are shown before anybody says `:Fimble enable`
---@field ghost_text 'auto'|'builtin'|'own' who draws it
---@field keys fimble.Keys|false
---@field skip_filetypes string[] buffers of these are never sent to the server
---@field max_file_kb integer larger buffers are never sent to the server
---@field debounce_ms integer how long to wait after a key; Neovim's own ghost text waits 200 ms
---@field tell_yanks boolean whether the server learns what was yanked from the files it has
---@field root_markers (string|string[])[]
---@field settings table<string, any> see docs/settings.md, such as { completion = { … } }
---@field install { source?: string, flags: string[] }

local M = {}

---@type fimble.Options
local defaults = {
  cmd = nil,
  enabled = true,
  ghost_text = 'auto',
  keys = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-End>',
    next = '<M-n>',
    previous = '<M-p>',
    dismiss = '<C-]>',
    trigger = '<M-Bslash>',
  },
  skip_filetypes = {
    'TelescopePrompt',
    'bigfile',
    'checkhealth',
    'dap-repl',
    'gitrebase',
    'help',
    'lazy',
    'man',
    'mason',
    'minifiles',
    'neo-tree',
    'netrw',
    'oil',
    'prompt',
    'qf',
    'snacks_picker_input',
  },
  max_file_kb = 1024,
  debounce_ms = 60,
  tell_yanks = true,
  root_markers = { '.fimble.toml', '.git', '.hg', '.jj' },
  settings = {},
  install = { source = nil, flags = {} },
}

local given = nil ---@type table?
local resolved = nil ---@type fimble.Options?

--- Take over what `setup` was given, in place of what it was given before.
---@param options? table
function M.set(options)
  given, resolved = options or {}, nil
end

local DRAWERS = { 'auto', 'builtin', 'own' }

--- Whether `false` stands for none where something else is usual.
---@param where string
---@param name string
---@return boolean
local function may_be_false(where, name)
  return where == 'keys.' or name == 'keys'
end

---@param options table
---@param known table
---@param where string
---@param problems string[]
local function check(options, known, where, problems)
  for name, value in pairs(options) do
    local default = known[name]
    local is_free = default == nil and (name == 'cmd' or name == 'source')
    if default == nil and not is_free then
      table.insert(problems, ('there is no option %s%s'):format(where, name))
    elseif name == 'cmd' and type(value) ~= 'string' and type(value) ~= 'table' then
      table.insert(problems, 'cmd has to be a string or a list')
    elseif name == 'ghost_text' and not vim.list_contains(DRAWERS, value) then
      table.insert(problems, 'ghost_text has to be one of ' .. table.concat(DRAWERS, ', '))
    elseif default == nil or (value == false and may_be_false(where, name)) then
      -- as it may be
    elseif type(value) ~= type(default) then
      local wanted = type(default)
      table.insert(problems, ('%s%s has to be a %s'):format(where, name, wanted))
    end
  end
end

--- Return what is wrong with the options, in sentences.
---@return string[]
function M.problems()
  local problems = {}
  for _, options in ipairs({ vim.g.fimble or {}, given or {} }) do
    check(options, defaults, '', problems)
    if type(options.keys) == 'table' then
      check(options.keys, defaults.keys, 'keys.', problems)
    end
    if type(options.install) == 'table' then
      check(options.install, defaults.install, 'install.', problems)
    end
  end
  return problems
end

--- Return the options that count.
---@return fimble.Options
function M.get()
  if not resolved then
    resolved = vim.tbl_deep_extend('force', defaults, vim.g.fimble or {}, given or {})
  end
  return resolved
end

--- Whether a buffer may be sent to the server, and if not, why.
---@param buf integer
---@return boolean
---@return string? reason
function M.allows(buf)
  local options = M.get()
  local filetype = vim.bo[buf].filetype
  if vim.bo[buf].buftype ~= '' then
    return false, ('it is no file but of type %s'):format(vim.bo[buf].buftype)
  end
  if vim.list_contains(options.skip_filetypes, filetype) then
    return false, ('files of type %s are skipped'):format(filetype)
  end
  local num_bytes = vim.api.nvim_buf_get_offset(buf, vim.api.nvim_buf_line_count(buf))
  if num_bytes > options.max_file_kb * 1024 then
    return false, ('it is larger than %d kB'):format(options.max_file_kb)
  end
  return true
end

return M
