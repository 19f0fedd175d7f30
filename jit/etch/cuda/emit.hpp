// SPDX-License-Identifier: MIT
// From the steps of a plan to launches, their text and their arguments. Text is canonical: it names no buffer and no
// extent, so equal kernels are one, in one program and in the cache. What a text depends on is a body (or several, for a
// step of several parts), its variant, and whether it writes parameters: nothing that is known only when a function is
// called. The comments are the lines of the first part that uses a body.
#pragma once
#include <map>
#include <utility>

#include <etch/cuda/choose.hpp>
#include <etch/cuda/prelude.hpp>

namespace etch::cuda {

/// Between the prelude and the kernels of a program.
inline constexpr std::string_view kernels_begin = "// ---- kernels\n";

/// A text without its comments: what is compiled, compared and hashed.
inline std::string without_comments(std::string_view text) {
    std::string s;
    s.reserve(text.size());
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size() - 1);
        auto line = text.substr(0, end + 1);
        text.remove_prefix(end + 1);
        auto comment = line.find("//");
        if (comment != std::string_view::npos) {
            while (comment > 0 && line[comment - 1] == ' ') --comment;
            s.append(line.substr(0, comment)) += '\n';
        } else {
            s.append(line);
        }
    }
    return s;
}

namespace detail {

/// FNV-1a (Fowler, Noll, Vo: RFC 9923) of a text without its comments, as 16 hexadecimal digits.
inline std::string hash_of_text(std::string_view text) {
    std::uint64_t h = 0xcbf29ce484222325ULL;
    for (char c : without_comments(text))
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    std::string s(16, '0');
    for (std::size_t i = 16; i-- > 0; h >>= 4) s[i] = "0123456789abcdef"[h & 15];
    return s;
}
inline std::string replaced(std::string text, char what, std::string_view by) {
    std::string s;
    s.reserve(text.size() + 16 * by.size());
    for (char c : text)
        if (c == what)
            s += by;
        else
            s += c;
    return s;
}

/// The bodies and kernels of one program, each distinct one once.
class emitter {
public:
    explicit emitter(const program_view& program) : p_(program) {}

    /// The launch's kernel: its name is that of its text.
    std::string add(const kernel_launch& l) {
        text_writer out;
        std::string title;
        auto groups = groups_of(l, title);
        auto total = static_cast<int>(l.parts.size());
        out.open("struct @_argument {");
        out.line("etch_failure* failure;");
        if (l.ticket) out.line("uint32* ticket;");
        if (total > 1)
            out.line("int64 first[" + std::to_string(total + 1) + "];  // block of each part");
        for (std::size_t k = 0; k < groups.size(); ++k)
            out.line(groups[k].name + "_argument of" + std::to_string(k) + "[" +
                     std::to_string(groups[k].count) + "];");
        out.close("};");
        out.line("extern \"C\" __global__ void __launch_bounds__(" + std::to_string(l.threads) +
                 ")");
        out.open("@(const __grid_constant__ @_argument a) {");
        if (l.guarded) out.line("if (a.failure->set != 0) return;");
        if (total == 1) {
            if (groups[0].runs)
                out.line(groups[0].name + "(a.of0[0], blockIdx.x, gridDim.x, a.failure);");
        } else {
            out.line("int part = 0;");
            out.line("for (int step = " +
                     std::to_string(std::bit_floor(static_cast<unsigned>(total - 1))) +
                     "; step > 0; step /= 2)");
            out.line("    if (part + step < " + std::to_string(total) +
                     " && int64(blockIdx.x) >= a.first[part + step]) part += step;");
            out.line("const uint32 block = blockIdx.x - uint32(a.first[part]);");
            out.line("const uint32 blocks = uint32(a.first[part + 1] - a.first[part]);");
            each_group(out, groups, [&](const group& k, const std::string& argument) {
                if (k.runs) out.line(k.name + "(" + argument + ", block, blocks, a.failure);");
            });
        }
        if (l.ticket) {
            out.line("if (!etch_is_last(a.ticket)) return;");
            int from = 0;
            for (std::size_t k = 0; k < groups.size(); ++k) {
                const group& each = groups[k];
                std::string array = "a.of" + std::to_string(k), first = std::to_string(from);
                from += each.count;
                if (!each.ends) continue;
                if (total == 1) {
                    out.line(each.name + "_end(" + array + "[0], gridDim.x, a.failure);");
                    continue;
                }
                out.line("for (int k = 0; k < " + std::to_string(each.count) + "; ++k)");
                out.line("    " + each.name + "_end(" + array + "[k], uint32(a.first[" + first +
                         " + k + 1] - a.first[" + first + " + k]), a.failure);");
            }
        }
        out.close();
        std::string name = "etch" + title + "_" + hash_of_text(out.text());
        if (!kernels_.contains(name)) {
            kernels_[name] = true;
            text_ += replaced(out.text(), '@', name) + "\n";
        }
        return name;
    }
    const std::string& text() const { return text_; }

private:
    struct group {
        std::string name;
        int count = 0;
        bool runs = false, ends = false;
    };
    const program_view& p_;
    std::map<std::pair<int, variant>, std::string> bodies_;  // names
    std::map<std::string, bool> kernels_;
    std::string text_;

    static std::size_t at(int i) { return static_cast<std::size_t>(i); }

    std::vector<group> groups_of(const kernel_launch& l, std::string& title) {
        std::vector<group> groups;
        for (std::size_t i = 0; i < l.parts.size(); ++i) {
            const part& q = p_.parts[at(l.parts[i])];
            const body& b = p_.bodies[at(q.body)];
            const std::string& name = body_name(q, l.variants[i]);
            if (groups.empty() || groups.back().name != name)
                groups.push_back(
                    {name, 0, b.outer + b.inner > 0, body_emitter::has_end(b, p_.code_of(b))});
            ++groups.back().count;
        }
        title = title_of(p_.code_of(p_.bodies[at(p_.parts[at(l.parts[0])].body)]));
        return groups;
    }
    template <class F>
    static void each_group(text_writer& out, const std::vector<group>& groups, F f) {
        int from = 0;
        for (std::size_t k = 0; k < groups.size(); ++k) {
            std::string index = from == 0 ? "part" : "part - " + std::to_string(from);
            from += groups[k].count;
            if (k + 1 < groups.size())
                out.open((k == 0 ? "if (part < " : "else if (part < ") + std::to_string(from) +
                         ") {");
            else if (k > 0)
                out.open("else {");
            f(groups[k], "a.of" + std::to_string(k) + "[" + index + "]");
            if (groups.size() > 1) out.close();
        }
    }
    const std::string& body_name(const part& q, const variant& v) {
        std::string& name = bodies_[{q.body, v}];
        if (name.empty()) {
            std::string text = body_emitter(p_, q, v).text();
            name = "body_" + hash_of_text(text);
            if (!kernels_.contains(name)) {
                kernels_[name] = true;
                text_ += replaced(std::move(text), '@', name) + "\n";
            }
        }
        return name;
    }
    /// The first ops of a body, to be recognised by.
    static std::string title_of(std::span<const instruction> lines) {
        std::string title;
        std::vector<op_id> seen;
        for (const auto& i : lines) {
            if ((i.what != code::compute && i.what != code::reduce) || seen.size() == 3 ||
                std::find(seen.begin(), seen.end(), i.op) != seen.end())
                continue;
            seen.push_back(i.op);
            title.append("_").append(op_table[i.op].name);
        }
        return title.empty() ? "_move" : title;
    }
};

inline std::int64_t words_of(const program_view& p, int index) {
    const body& b =
        p.bodies[static_cast<std::size_t>(p.parts[static_cast<std::size_t>(index)].body)];
    std::int64_t n = 0;
    argument_words(b, p.code_of(b), [&](const argument_word&) { ++n; });
    return n;
}

}  // namespace detail

/// The launches of a step's parts for these dims: one, or several where the argument would be larger than what a kernel
/// takes (32,764 bytes). Parts that end with what all blocks have left come last, in the last launch.
inline std::vector<kernel_launch> plan_launches(const program_view& p, range_of parts,
                                                std::span<const std::int64_t> dims,
                                                const device_limits& device) {
    struct chosen {
        int part;
        variant form;
        std::int64_t blocks;
        bool ends, writes;
        std::int64_t words, scratch;
    };
    std::vector<chosen> all;
    for (int i = parts.first; i < parts.first + parts.count; ++i) {
        sized_part s(p, i, dims);
        variant v = choose_variant(s, device, parts.count == 1);
        all.push_back({i, v, choose_blocks(s, v, device), s.has_end(), s.writes_state(),
                       detail::words_of(p, i), 2 * etch::detail::scalar_reductions(s.lines)});
    }
    std::stable_sort(all.begin(), all.end(), [&](const chosen& a, const chosen& b) {
        int x = p.parts[static_cast<std::size_t>(a.part)].body,
            y = p.parts[static_cast<std::size_t>(b.part)].body;
        return std::tie(a.ends, x, a.form) < std::tie(b.ends, y, b.form);
    });
    std::erase_if(all, [](const chosen& c) { return c.blocks == 0; });
    constexpr std::int64_t most_words = 4000;
    std::vector<kernel_launch> launches;
    std::int64_t words = 0;
    detail::emitter names(p);
    for (const chosen& c : all) {
        if (launches.empty() || words + c.words + 1 > most_words) {
            launches.push_back({});
            launches.back().step_parts = parts;
            launches.back().first_block.push_back(0);
            launches.back().threads = 0;
            words = 3;
        }
        kernel_launch& l = launches.back();
        l.parts.push_back(c.part);
        l.variants.push_back(c.form);
        l.first_block.push_back(l.first_block.back() + c.blocks);
        l.threads = std::max<unsigned>(l.threads, c.form.threads);
        l.scratch_words += c.scratch * c.blocks;
        l.ticket = l.ticket || c.ends;
        l.guarded = l.guarded || c.writes;
        words += c.words + 1;
    }
    for (kernel_launch& l : launches) {
        l.blocks = static_cast<unsigned>(l.first_block.back());
        l.name = names.add(l);
    }
    return launches;
}

/// The program of some launches, to be compiled at once: every distinct kernel once, and the one that copies to parameters
/// where it is wanted.
inline std::string program_text(const program_view& p, std::span<const kernel_launch> launches,
                                bool copies = false) {
    detail::emitter e(p);
    for (const kernel_launch& l : launches) e.add(l);
    return std::string(prelude)
        .append(kernels_begin)
        .append(copies ? copy_kernel : "")
        .append(e.text());
}

/// The one argument of a launch's kernel. `addresses` are those of the storages, `scratch` and `ticket` of the launch's own
/// memory, `failure` of the record that all launches of a call share.
inline void write_argument(const program_view& p, const kernel_launch& l,
                           std::span<const std::int64_t> dims,
                           std::span<const std::uint64_t> addresses, std::uint64_t scratch,
                           std::uint64_t ticket, std::uint64_t failure,
                           std::vector<std::uint64_t>& words) {
    words.clear();
    words.push_back(failure);
    if (l.ticket) words.push_back(ticket);
    if (l.parts.size() > 1)
        for (auto first : l.first_block) words.push_back(static_cast<std::uint64_t>(first));
    for (std::size_t i = 0; i < l.parts.size(); ++i) {
        sized_part s(p, l.parts[i], dims);
        argument_words(s.b, s.lines, [&](const argument_word& w) {
            auto put = [&](std::int64_t x) { words.push_back(static_cast<std::uint64_t>(x)); };
            switch (w.kind) {
            case word_kind::part: return put(l.parts[i]);
            case word_kind::extent: return put(s.extents[w.axis]);
            case word_kind::offset: return put(s.number(s.slot_of(w.slot).offset));
            case word_kind::stride: return put(s.stride(w.slot, w.axis));
            case word_kind::step: return put(s.number(s.slot_of(w.slot).step));
            case word_kind::bound: return put(s.number(s.slot_of(w.slot).bound));
            case word_kind::scratch:
                words.push_back(scratch);
                scratch +=
                    static_cast<std::uint64_t>(16 * etch::detail::scalar_reductions(s.lines) *
                                               (l.first_block[i + 1] - l.first_block[i]));
                return;
            case word_kind::pointer: break;
            }
            const slot& k = s.slot_of(w.slot);
            auto bytes = row_of(p.storages[sized_part::at(k.storage)].element).bytes;
            words.push_back(addresses[sized_part::at(k.storage)] +
                            static_cast<std::uint64_t>(s.number(k.offset) * bytes));
        });
    }
}

}  // namespace etch::cuda
