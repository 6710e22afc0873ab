#include "conf/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>
#include <utility>

namespace sallyport::conf {
namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxNodes = 1'000'000;

std::uint32_t from_zero_based(int number) noexcept { return number < 0 ? 0 : static_cast<std::uint32_t>(number) + 1; }

/// Thrown through yaml-cpp's parser, which knows no other way to stop.
struct Refused {
    YAML::Mark mark;
    std::string message;
};

class TreeBuilder final : public YAML::EventHandler {
public:
    [[nodiscard]] YamlNode take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        add(node(YamlNode::Kind::null, mark, anchor));
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override
    {
        check_tag(mark, tag);
        YamlNode made = node(YamlNode::Kind::scalar, mark, anchor);
        made.scalar = value;
        // A plain ~ or nothing is null; "!" marks a quoted scalar, which never is.
        if (tag != "!" && (value.empty() || value == "~" || value == "null")) made.kind = YamlNode::Kind::null;
        add(std::move(made));
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        check_tag(mark, tag);
        open(node(YamlNode::Kind::sequence, mark, anchor), mark);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        check_tag(mark, tag);
        open(node(YamlNode::Kind::map, mark, anchor), mark);
    }
    void OnMapEnd() override { close(); }

private:
    struct Open {
        YamlNode node;
        std::optional<YamlNode> key; // of a map: read, its value not yet
    };

    [[noreturn]] static void refuse_anchor(const YAML::Mark& mark)
    {
        throw Refused{
            mark, "anchors and aliases (& and *) are not taken here; write the value out, in quotes if it begins so"};
    }

    static void check_tag(const YAML::Mark& mark, const std::string& tag)
    {
        if (tag.empty() || tag == "?" || tag == "!") return;
        throw Refused{mark, "the tag '" + tag + "' is not taken here; expected a plain value"};
    }

    YamlNode node(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor)
    {
        if (anchor != 0) refuse_anchor(mark);
        if (++nodes_ > kMaxNodes) throw Refused{mark, "more than 1,000,000 values"};
        YamlNode made;
        made.kind = kind;
        made.line = from_zero_based(mark.line);
        made.column = from_zero_based(mark.column);
        return made;
    }

    void open(YamlNode made, const YAML::Mark& mark)
    {
        if (open_.size() >= kMaxDepth) throw Refused{mark, "nested deeper than 32 levels"};
        open_.push_back(Open{std::move(made), {}});
    }

    void close()
    {
        YamlNode done = std::move(open_.back().node);
        open_.pop_back();
        add(std::move(done));
    }

    void add(YamlNode made)
    {
        if (open_.empty()) {
            root_ = std::move(made);
            return;
        }
        Open& parent = open_.back();
        if (parent.node.kind == YamlNode::Kind::sequence) {
            parent.node.items.push_back(std::move(made));
        } else if (!parent.key) {
            parent.key = std::move(made);
        } else {
            parent.node.entries.push_back(
                {std::move(parent.key->scalar), parent.key->line, parent.key->column, std::move(made)});
            parent.key.reset();
        }
    }

    YamlNode root_;
    std::vector<Open> open_;
    std::size_t nodes_ = 0;
};

base::Error at(const std::string& file, const YAML::Mark& mark, std::string message)
{
    return {
        base::ErrorCode::invalid, std::move(message), {file, from_zero_based(mark.line), from_zero_based(mark.column)}};
}

} // namespace

base::Result<YamlNode> parse_yaml(std::string_view text, const std::string& file)
{
    // yaml-cpp ends a document quietly at a NUL; half a configuration must not be taken for a whole one.
    if (const auto nul = text.find('\0'); nul != std::string_view::npos)
        return base::Error{
            base::ErrorCode::invalid, "octet " + std::to_string(nul + 1) + " is NUL; expected text", {file}};
    std::istringstream stream{std::string{text}};
    TreeBuilder builder;
    try {
        YAML::Parser parser{stream};
        if (parser.HandleNextDocument(builder)) {
            TreeBuilder second;
            if (parser.HandleNextDocument(second))
                return base::Error{
                    base::ErrorCode::invalid, "a second document begins in this file; expected one", {file}};
        }
    } catch (const YAML::Exception& error) {
        return at(file, error.mark, "not YAML: " + error.msg);
    } catch (const Refused& refused) {
        return at(file, refused.mark, refused.message);
    } catch (const std::exception& error) {
        return base::Error{base::ErrorCode::invalid, std::string("not YAML: ") + error.what(), {file}};
    }
    return builder.take();
}

} // namespace sallyport::conf
