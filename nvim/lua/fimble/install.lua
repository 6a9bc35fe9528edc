--- `:Fimble install`: the server in an environment of its own, which this plugin then finds.

local config = require('fimble.config')
local server = require('fimble.server')
local window = require('fimble.window')

local M = {}

local is_running = false

-- Newest first; all from 3.11 on will do.
local PYTHONS = { 'python3.13', 'python3.12', 'python3.11', 'python3', 'python' }
local IS_NEW_ENOUGH = 'import sys, venv; sys.exit(sys.version_info < (3, 11))'

---@return string?
local function python()
  for _, name in ipairs(PYTHONS) do
    if vim.fn.executable(name) == 1 then
      local finished = vim.system({ name, '-c', IS_NEW_ENOUGH }):wait(10000)
      if finished.code == 0 then
        return name
      end
    end
  end
end

--- Return what to install: the option, or the repository that this plugin lies in.
---@return string
local function source()
  local chosen = config.get().install.source
  if chosen then
    return vim.fs.normalize(chosen)
  end
  local here = debug.getinfo(1, 'S').source:sub(2)
  local repository = vim.fs.normalize(vim.fs.joinpath(vim.fs.dirname(here), '../../..'))
  local is_here = vim.uv.fs_stat(vim.fs.joinpath(repository, 'pyproject.toml')) ~= nil
  return is_here and repository or 'fimble'
end

--- Return the commands that make the environment; nil and what is missing if that cannot be.
---@return string[][]?
---@return string? missing
function M.steps()
  local environment, flags = server.environment(), config.get().install.flags
  local interpreter = server.environment_python()
  if vim.fn.executable('uv') == 1 then
    local make = { 'uv', 'venv', '--seed', '--python', '>=3.11', '--clear', environment }
    local install = { 'uv', 'pip', 'install', '--python', interpreter }
    return { make, vim.list_extend(vim.list_extend(install, flags), { source() }) }
  end
  local found = python()
  if not found then
    return nil, 'neither uv nor a Python of version 3.11 or later with venv is on PATH'
  end
  local install = { interpreter, '-m', 'pip', 'install' }
  return {
    { found, '-m', 'venv', '--clear', environment },
    vim.list_extend(vim.list_extend(install, flags), { source() }),
  }
end

---@param steps string[][]
---@param show fun(lines: string[])
---@param on_end fun(ok: boolean)
local function run(steps, show, on_end)
  local step = table.remove(steps, 1)
  if not step then
    return on_end(true)
  end
  show({ '$ ' .. table.concat(step, ' ') })
  local show_part = vim.schedule_wrap(function(_, data)
    if data then
      show(vim.split(vim.trim(data), '\n', { plain = true }))
    end
  end)
  local ok, failure = pcall(
    vim.system,
    step,
    { text = true, stdout = show_part, stderr = show_part },
    vim.schedule_wrap(function(finished)
      if finished.code == 0 then
        run(steps, show, on_end)
      else
        show({ ('this has failed with code %d'):format(finished.code) })
        on_end(false)
      end
    end)
  )
  if not ok then
    show({ tostring(failure) })
    on_end(false)
  end
end

--- Make the environment, show how far it is, and start the server.
function M.run()
  if is_running then
    vim.notify('fimble: an installation is under way', vim.log.levels.WARN)
    return
  end
  local steps, missing = M.steps()
  if not steps then
    vim.notify('fimble: ' .. missing, vim.log.levels.ERROR)
    return
  end
  local show = window.split('fimble://install', {
    'fimble: installing into ' .. server.environment(),
    'PyTorch is the large part; this takes minutes.',
  })
  is_running = true
  run(steps, show, function(ok)
    is_running = false
    if ok then
      show({ 'Installed. The first start fetches the model, some 500 MB.' })
      require('fimble.client').restart()
    end
  end)
end

return M
