--- Where the program `fimble` is, and running its commands.

local config = require('fimble.config')

local M = {}

--- Return the folder of the environment that `:Fimble install` makes.
---@return string
function M.environment()
  return vim.fs.joinpath(vim.fn.stdpath('data'), 'fimble', 'venv')
end

---@param name string
---@return string
local function environment_program(name)
  local is_windows = vim.fn.has('win32') == 1
  local path = is_windows and ('Scripts/%s.exe'):format(name) or 'bin/' .. name
  return vim.fs.joinpath(M.environment(), path)
end

--- Return the interpreter of that environment, whether or not it is there.
---@return string
function M.environment_python()
  return environment_program('python')
end

---@param words string[]
---@return string[]
local function with_lsp(words)
  return #words == 1 and { words[1], 'lsp' } or words
end

--- Return the command of the language server and who named it; nil if there is none.
---@return string[]? command
---@return string source
function M.command()
  local cmd = config.get().cmd
  if type(cmd) == 'string' then
    return { vim.fs.normalize(cmd), 'lsp' }, 'the option cmd'
  elseif type(cmd) == 'table' then
    return with_lsp(cmd), 'the option cmd'
  end
  local found = vim.fn.exepath('fimble')
  if found ~= '' then
    return { found, 'lsp' }, 'PATH'
  end
  -- Without it the installation did not come to its end.
  if vim.fn.executable(environment_program('fimble')) == 1 then
    -- Isolated: a folder of the workspace called as one of fimble's packages must not shadow it.
    return { M.environment_python(), '-I', '-m', 'lsp_server', 'lsp' }, ':Fimble install'
  end
  return nil, 'nobody'
end

--- Return the words before `lsp` in the server's command, which begin fimble's other commands too.
---@return string[]?
function M.program()
  local words = {}
  for _, word in ipairs(M.command() or {}) do
    if word == 'lsp' then
      return words
    end
    table.insert(words, word)
  end
end

--- Whether the server can be started.
---@return boolean
function M.is_found()
  local command = M.command()
  return command ~= nil and vim.fn.executable(command[1]) == 1
end

--- Run a command of fimble and hand over how it ended; nil if there is no such program.
---@param words string[]
---@param on_end? fun(finished: vim.SystemCompleted) called in the main loop
---@return vim.SystemObj?
function M.run(words, on_end)
  local program = M.program()
  if not program then
    return nil
  end
  local command = vim.list_extend(vim.list_slice(program), words)
  local ok, running =
    pcall(vim.system, command, { text = true }, on_end and vim.schedule_wrap(on_end) or nil)
  return ok and running or nil
end

return M
