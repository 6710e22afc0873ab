#include "lua/objects.hpp"
#include "policy/domain_list.hpp"

#include <algorithm>
#include <cctype>

/// `clients {}` and `domains {}`: sets that a script makes while it is read, and asks while it works.
namespace sallyport::lua {
namespace {

constexpr std::size_t kMostSets = 1000;
constexpr std::size_t kMostNetworks = 4096; ///< of one `clients {}`: they are looked at one after the other
constexpr std::size_t kMostFileName = 1024;

/// What a helper found wrong, to be raised by a frame without destructors; empty: nothing.
using Problem = std::string;

void check_loading(lua_State* state, const char* what)
{
    const Context& context = context_of(state);
    if (!context.loading)
        luaL_error(state, "%s belongs outside of functions: sets are made once, when the script is read", what);
    if (context.client_sets.size() + context.domain_sets.size() >= kMostSets)
        luaL_error(state, "more than 1000 sets in a script");
}

policy::ClientSet& add_client_set(Context& context) noexcept { return context.client_sets.emplace_back(); }

bool add_network(policy::ClientSet& set, std::string_view text, Problem& problem) noexcept
{
    const auto network = base::Prefix::parse(text);
    if (!network)
        problem = network.error().message;
    else if (set.networks.size() >= kMostNetworks)
        problem = "more than 4096 networks in a set of clients";
    else
        set.networks.push_back(*network);
    return problem.empty();
}

void add_private(policy::ClientSet& set) noexcept
{
    for (const char* const text : {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                                   "172.16.0.0/12", "192.168.0.0/16", "::/127", "fc00::/7", "fe80::/10"})
        if (const auto network = base::Prefix::parse(text); network) set.networks.push_back(*network);
}

void add_text(std::vector<std::string>& names, std::string_view text) noexcept { names.emplace_back(text); }

void add_lower(std::vector<std::string>& names, std::string_view text) noexcept
{
    std::string name{text};
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name.ends_with('.')) name.pop_back();
    names.push_back(std::move(name));
}

using Add = void (*)(std::vector<std::string>& names, std::string_view text) noexcept;

/// The value at the top: a text or a list of them.
void take_names(lua_State* state, std::vector<std::string>& names, const char* key, Add add = add_lower)
{
    if (lua_type(state, -1) == LUA_TSTRING) return add(names, lua_tostring(state, -1));
    if (lua_type(state, -1) != LUA_TTABLE) luaL_error(state, "'%s' must be a text or a list of texts", key);
    const auto count = static_cast<lua_Integer>(lua_rawlen(state, -1));
    if (count > static_cast<lua_Integer>(kMostNetworks)) luaL_error(state, "more than 4096 names in '%s'", key);
    for (lua_Integer i = 1; i <= count; ++i) {
        if (lua_rawgeti(state, -1, i) != LUA_TSTRING) luaL_error(state, "'%s' must be a text or a list of texts", key);
        add(names, lua_tostring(state, -1));
        lua_pop(state, 1);
    }
}

void take_client_key(lua_State* state, policy::ClientSet& set)
{
    const std::string_view key = lua_tostring(state, -2);
    if (key == "tls_name") return take_names(state, set.server_names, "tls_name");
    if (key == "certificate_name") return take_names(state, set.certificate_names, "certificate_name");
    // Paths are no names: their letters stay as they are (RFC 3986 §6.2.2.1).
    if (key == "path") return take_names(state, set.paths, "path", add_text);
    luaL_error(state, "clients have no '%s'; expected networks, tls_name, certificate_name or path", key.data());
}

/// `clients { "10.0.7.0/24", tls_name = "kids.gate.test" }`
int make_clients(lua_State* state)
{
    check_loading(state, "clients");
    luaL_checktype(state, 1, LUA_TTABLE);
    Context& context = context_of(state);
    policy::ClientSet& set = add_client_set(context);
    for (lua_pushnil(state); lua_next(state, 1) != 0; lua_pop(state, 1)) {
        if (lua_type(state, -2) == LUA_TSTRING) {
            take_client_key(state, set);
            continue;
        }
        std::size_t size = 0;
        const char* const text = lua_type(state, -1) == LUA_TSTRING ? lua_tolstring(state, -1, &size) : "";
        context.text.clear();
        if (std::string_view{text, size} == "private")
            add_private(set);
        else if (!add_network(set, {text, size}, context.text))
            luaL_error(state, "%s", context.text.c_str());
    }
    static_cast<ClientsObject*>(push_object(state, Kind::clients, sizeof(ClientsObject), 0, 0))->set = &set;
    return 1;
}

int client_count(lua_State* state)
{
    lua_pushinteger(state,
                    static_cast<lua_Integer>(check<ClientsObject>(state, 1, Kind::clients).set->networks.size()));
    return 1;
}

// --- domains

using SharedSet = std::shared_ptr<const policy::DomainSet>;

policy::ListLimits limits_of(const Context& context) noexcept
{
    return {context.options.list_octets, context.options.list_names};
}

/// Finds what was compiled, or compiles it with `make` the first time. Null with a problem otherwise.
template <class Make>
const policy::DomainSet* compiled(Context& context, const std::string& source, Problem& problem, Make&& make)
{
    const DomainSets& made = context.compiled_here != nullptr ? *context.compiled_here : *context.compiled_before;
    auto found = made.find(source);
    if (found == made.end()) {
        if (context.compiled_here == nullptr) {
            problem = "not the same sets of domains as when the script was checked";
            return nullptr;
        }
        base::Result<policy::DomainSet> set = make();
        if (!set) {
            problem = set.error().to_string();
            return nullptr;
        }
        auto shared = std::make_shared<const policy::DomainSet>(std::move(*set));
        found = context.compiled_here->emplace(source, std::move(shared)).first;
    }
    context.domain_sets.push_back(found->second);
    return found->second.get();
}

/// Below the folder of the script, and nowhere else: a script reaches no file that was not put beside it.
bool is_inside(std::string_view file)
{
    if (file.empty() || file.size() > kMostFileName || file.front() == '/') return false;
    if (file.find('\0') != std::string_view::npos) return false;
    for (std::size_t begin = 0; begin <= file.size();) {
        const std::size_t end = std::min(file.find('/', begin), file.size());
        if (file.substr(begin, end - begin) == "..") return false;
        begin = end + 1;
    }
    return true;
}

const policy::DomainSet* load_set(Context& context, std::string_view file, Problem& problem) noexcept
{
    if (!is_inside(file)) {
        problem = "a list is named relative to the folder of the script, without '..'";
        return nullptr;
    }
    const std::string& script = context.options.script;
    const std::string path = script.substr(0, script.rfind('/') + 1) + std::string(file);
    return compiled(context, path, problem, [&] { return policy::load_domain_list(path, limits_of(context)); });
}

/// `names` has each with a line feed behind it.
const policy::DomainSet* make_set(Context& context, const std::string& names, Problem& problem) noexcept
{
    return compiled(context, names, problem, [&]() -> base::Result<policy::DomainSet> {
        policy::DomainSetBuilder set{context.options.list_names};
        std::string_view rest = names;
        while (!rest.empty()) {
            const std::string_view name = rest.substr(0, rest.find('\n'));
            if (!policy::add_domain(set, name))
                return base::Error{base::ErrorCode::invalid, "'" + std::string(name) + "' is no domain name"};
            rest.remove_prefix(name.size() + 1);
        }
        if (set.full()) return base::Error{base::ErrorCode::limit, "too many names in a set of domains"};
        return set.take();
    });
}

int push_set(lua_State* state, const policy::DomainSet* set)
{
    if (set == nullptr) return luaL_error(state, "%s", context_of(state).text.c_str());
    static_cast<DomainsObject*>(push_object(state, Kind::domains, sizeof(DomainsObject), 0, 0))->set = set;
    return 1;
}

int load_domains(lua_State* state)
{
    check_loading(state, "domains.load");
    std::size_t size = 0;
    const char* const file = luaL_checklstring(state, 1, &size);
    Context& context = context_of(state);
    context.text.clear();
    return push_set(state, load_set(context, {file, size}, context.text));
}

void add_line(std::vector<std::uint8_t>& lines, std::string_view line) noexcept
{
    lines.insert(lines.end(), line.begin(), line.end());
    lines.push_back('\n');
}

const policy::DomainSet* make_set_of_lines(Context& context) noexcept
{
    context.text.clear();
    return make_set(context, std::string(context.octets.begin(), context.octets.end()), context.text);
}

/// `domains { "example.com", "*.example.net" }`; the first argument is the table `domains` itself.
int make_domains(lua_State* state)
{
    check_loading(state, "domains");
    luaL_checktype(state, 2, LUA_TTABLE);
    Context& context = context_of(state);
    context.octets.clear();
    const auto count = static_cast<lua_Integer>(lua_rawlen(state, 2));
    for (lua_Integer i = 1; i <= count; ++i) {
        std::size_t size = 0;
        if (lua_rawgeti(state, 2, i) != LUA_TSTRING)
            return luaL_error(state, "a %s in a set of domains; expected names", luaL_typename(state, -1));
        const char* const name = lua_tolstring(state, -1, &size);
        if (size > 1024 || std::string_view{name, size}.find('\n') != std::string_view::npos)
            return luaL_error(state, "entry %d is no domain name", static_cast<int>(i));
        add_line(context.octets, {name, size});
        lua_pop(state, 1);
    }
    return push_set(state, make_set_of_lines(context));
}

int domains_cover(lua_State* state)
{
    const policy::DomainSet& set = *check<DomainsObject>(state, 1, Kind::domains).set;
    bool covered = false;
    if (find_object(state, 2, Kind::name) != nullptr) {
        check(state, 2, Kind::name);
        covered = set.covers(*context_of(state).facts->qname);
    } else {
        std::size_t size = 0;
        const char* const text = luaL_checklstring(state, 2, &size);
        wire::Name name;
        covered = read_name(text, size, name) && set.covers(name);
    }
    lua_pushboolean(state, int{covered});
    return 1;
}

int domains_size(lua_State* state)
{
    lua_pushinteger(state, static_cast<lua_Integer>(check<DomainsObject>(state, 1, Kind::domains).set->size()));
    return 1;
}

constexpr luaL_Reg kClientMethods[] = {{"__len", client_count}, {nullptr, nullptr}};
constexpr luaL_Reg kDomainMethods[] = {{"covers", domains_cover}, {"__len", domains_size}, {nullptr, nullptr}};

} // namespace

void open_sets(lua_State* state)
{
    const int environment = lua_gettop(state);
    put_function(state, environment, "clients", make_clients);
    lua_newtable(state);
    put_function(state, environment + 1, "load", load_domains);
    lua_newtable(state);
    put_function(state, environment + 2, "__call", make_domains);
    lua_pushboolean(state, 0);
    lua_setfield(state, environment + 2, "__metatable");
    lua_setmetatable(state, environment + 1);
    lua_setfield(state, environment, "domains");
    make_metatable(state, Kind::clients, kClientMethods);
    make_metatable(state, Kind::domains, kDomainMethods);
}

} // namespace sallyport::lua
