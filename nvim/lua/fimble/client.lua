--- The language client: its configuration, its life, and requests that are fimble's own.

local asking = require('fimble.asking')
local config = require('fimble.config')
local ghost = require('fimble.ghost')
local server = require('fimble.server')
local status = require('fimble.status')

local M = {}

local NAME = 'fimble'
-- The server hears of a key long before it is asked, so that little is left to do then.
local TELL_AFTER_MS = 20
local GONE_POLL_MS, NUM_POLLS_BEFORE_FORCE = 20, 100
local MAX_NUM_RESTARTS, RESTARTS_WITHIN_S = 3, 60

-- Clients that are to be forgotten, by id, and whether we stopped them or they ended by themselves.
local leaving = {} ---@type table<integer, 'stopped'|'ended'>
local waiting = nil ---@type uv.uv_timer_t?
local ends_s = {} ---@type number[]

--- Decide whether a buffer is the server's business, and tell where its project begins.
---@param buf integer
---@param start fun(root?: string)
local function root_dir(buf, start)
  if not config.allows(buf) then
    return
  end
  if not server.is_found() then
    status.missing()
    vim.notify_once('fimble: no server found; see :checkhealth fimble', vim.log.levels.WARN)
    return
  end
  start(vim.fs.root(buf, config.get().root_markers))
end

---@return table
local function capabilities()
  local found = vim.lsp.protocol.make_client_capabilities()
  found.textDocument.inlineCompletion = { dynamicRegistration = false }
  found.experimental = { fimble = { status = true } }
  return found
end

--- Start the server for the files that are open, and for those that will be.
function M.start()
  vim.lsp.enable(NAME)
end

--- Return all clients, those that are only starting too.
---@return vim.lsp.Client[]
local function clients()
  return vim.lsp.get_clients({ name = NAME, _uninitialized = true })
end

---@return vim.lsp.Client[]
local function clients_that_leave()
  return vim.tbl_filter(function(client)
    return leaving[client.id] ~= nil
  end, clients())
end

--- Start once Neovim has forgotten the clients that leave, for it would use them again.
---
--- A server that hangs does not end because it is asked to.
local function start_when_gone()
  if waiting then
    return
  end
  local timer, num_polls = assert(vim.uv.new_timer()), 0
  waiting = timer
  local poll = vim.schedule_wrap(function()
    num_polls = num_polls + 1
    if timer:is_closing() then
      return
    end
    local those = clients_that_leave()
    if #those == 0 then
      timer:close()
      waiting, leaving = nil, {}
      M.start()
    elseif num_polls % NUM_POLLS_BEFORE_FORCE == 0 then
      for _, client in ipairs(those) do
        client.rpc.terminate()
      end
    end
  end)
  timer:start(GONE_POLL_MS, GONE_POLL_MS, poll)
end

---@param code integer
---@param signal integer
---@param client_id integer
local function on_exit(code, signal, client_id)
  -- Somebody may have stopped it by Neovim's own means; then it ends without a code.
  local is_wanted = leaving[client_id] == 'stopped' or (code == 0 and signal == 0)
  if is_wanted or vim.v.exiting ~= vim.NIL then
    status.ended(client_id)
    return
  end
  leaving[client_id] = 'ended'
  status.ended(client_id, ('the server has ended: code %d, signal %d'):format(code, signal))
  local now_s = vim.uv.hrtime() / 1e9
  table.insert(ends_s, now_s)
  local earlier_s = ends_s[#ends_s - MAX_NUM_RESTARTS]
  if not earlier_s or now_s - earlier_s > RESTARTS_WITHIN_S then
    start_when_gone()
  else
    vim.notify('fimble: the server keeps ending; see :Fimble log', vim.log.levels.ERROR)
  end
end

--- Return what `vim.lsp.config` wants to know.
---@return vim.lsp.Config
function M.config()
  return {
    -- Found when the first file wants it, and again after `setup` or an installation.
    cmd = function(dispatchers)
      return vim.lsp.rpc.start(assert(server.command()), dispatchers)
    end,
    root_dir = root_dir,
    capabilities = capabilities(),
    flags = { debounce_text_changes = TELL_AFTER_MS },
    before_init = function(params)
      local options = params.initializationOptions
      if type(options) ~= 'table' then
        options = {}
      end
      params.initializationOptions = vim.tbl_deep_extend('force', config.get().settings, options)
      if next(params.initializationOptions) == nil then
        params.initializationOptions = vim.empty_dict()
      end
    end,
    handlers = {
      ['fimble/status'] = function(_, params, context)
        status.note(context.client_id, params)
        if params.state == 'ready' then
          asking.resume()
        end
      end,
    },
    on_exit = vim.schedule_wrap(on_exit),
  }
end

--- End the server and start it anew.
function M.restart()
  ends_s = {}
  for _, client in ipairs(clients()) do
    leaving[client.id] = 'stopped'
  end
  vim.lsp.enable(NAME, false)
  start_when_gone()
end

--- Return the client of a buffer, or any if it has none.
---@param buf? integer
---@return vim.lsp.Client?
function M.get(buf)
  local of_buf = buf and vim.lsp.get_clients({ name = NAME, bufnr = buf })[1]
  return of_buf or vim.lsp.get_clients({ name = NAME })[1]
end

--- Ask the server and hand over its answer; what goes wrong is told to the user.
---@param method string
---@param params table
---@param on_answer fun(result: any)
function M.ask(method, params, on_answer)
  local client = M.get(vim.api.nvim_get_current_buf())
  if not client then
    vim.notify('fimble: no server is running', vim.log.levels.WARN)
    return
  end
  client:request(method, params, function(err, result)
    if err then
      vim.notify('fimble: ' .. err.message, vim.log.levels.WARN)
    else
      on_answer(result ~= vim.NIL and result or nil)
    end
  end, vim.api.nvim_get_current_buf())
end

--- Follow the clients that come and go.
function M.follow()
  local group = vim.api.nvim_create_augroup('fimble.client', {})
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == NAME then
        status.attached(client.id)
        ghost.attach(client, event.buf)
      end
    end,
  })
  vim.api.nvim_create_autocmd('LspDetach', {
    group = group,
    callback = function(event)
      ghost.detach(event.buf, event.data.client_id)
    end,
  })
  vim.api.nvim_create_autocmd('LspRequest', {
    group = group,
    callback = function(event)
      local data = event.data
      asking.note(data.client_id, data.request_id, data.request)
    end,
  })
end

return M
