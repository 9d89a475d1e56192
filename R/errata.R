#' Errors of the paper, with checks
#'
#' Computes for each erratum the value of the printed statement, the value of the correction, and a
#' reference found in another way: by simulation, by search or by a literal loop. `holds` is `TRUE`
#' if the correction agrees with the reference and the printed value does not. The tolerance is four
#' standard errors for simulations; for other checks it is in their code.
#'
#' @param n Number of draws in the checks by simulation. With fewer than 70000 a check
#'   may lack the power to separate the printed value from the correction.
#' @param seed A whole number of at least 0.
#' @return A data frame with a row per erratum: `id`, `place`, `printed`, `correct`,
#'   `check` (what the three numbers are), `printed_value`, `correct_value`, `reference`,
#'   `tolerance` and `holds`.
#' @source Kim and Wang, at the places given.
#' @examples
#' paper_errata()[, c("id", "printed_value", "correct_value", "reference", "holds")]
#' @family functions of the theory
#' @export
paper_errata <- function(n = 1e5, seed = 1) {
  n <- check_count(n, min = 1000)
  seed <- check_count(seed, min = 0)
  rows <- lapply(errata_list(), function(e) {
    value <- e$run(n, seed)
    data.frame(place = e$place, printed = e$printed, correct = e$correct, check = e$check,
               printed_value = value[["printed"]], correct_value = value[["correct"]],
               reference = value[["reference"]], tolerance = value[["tolerance"]])
  })
  out <- cbind(id = names(rows), do.call(rbind, rows))
  row.names(out) <- NULL
  out$holds <- erratum_holds(out$printed_value, out$correct_value, out$reference, out$tolerance)
  out
}

erratum_holds <- function(printed, correct, reference, tolerance) {
  abs(correct - reference) <= tolerance & abs(printed - reference) > tolerance
}

erratum <- function(place, printed, correct, check, run) {
  list(place = place, printed = printed, correct = correct, check = check, run = run)
}

errata_list <- function() {
  c(errata_of_framework(), errata_of_clusters(), errata_of_examples(), errata_of_tables())
}

errata_of_framework <- function() {
  list(
    pgd_gradient = erratum(
      "equation (4)", "gradient at x in every step", "gradient at the current iterate",
      "loss after 40 steps on a curved model, against the largest in the ball", check_pgd_gradient),
    strict_limit = erratum(
      "Definition 3, equation (7)", "p_y(z) > c", "p_y(z) >= c, as in (13); with > there is no maximum",
      "share of stage-B examples at p_y = c that the set contains; (11) needs all", check_strict_limit),
    sign_of_constant = erratum(
      "text after (11), twice", "the constant loss is -log(1/c)", "log(1/c) = -log c",
      "cross-entropy at stage-B examples, c = 0.9", check_sign_of_constant),
    empty_set = erratum(
      "text before (12)", "S is empty on A_f", "S may contain neighbours of x; x has the larger loss",
      "share of stage-A points just below c whose ball contains points with p_y > c", check_empty_set),
    c_zero = erratum(
      "section 4.1", "c = 0 is identical to PGD training", "identical except for misclassified points, which line 3 does not move",
      "share of misclassified points that Algorithm 2 moves at c = 0", check_c_zero),
    one_step = erratum(
      "section 5.1 with Algorithm 2", "with K = 1, stage B is adapted until p_y = c",
      "reversion with K = 1 gives x itself; the authors' script projects instead",
      "mean distance that stage-B points move", check_one_step),
    theorem_2 = erratum(
      "Theorem 2, second part", "B(X~, eps) covering X makes the Bayes rule the only minimiser",
      "the balls cut at the Bayes boundary, S, must cover X",
      "minimisers among two classifiers when the data show one class only", check_theorem_2)
  )
}

errata_of_clusters <- function() {
  list(
    standard_risk = erratum(
      "section 5.1, appendix C.1", "R_std(sign x1) = Phi(-1/sigma^2)", "Phi(-1/sigma)",
      "at sigma = 0.5, against simulation", check_standard_risk),
    robust_risk = erratum(
      "section 5.1, appendix C.1", "R_rob(sign x1) = Phi(gamma - 1/sigma^2)", "Phi(gamma - 1/sigma)",
      "at sigma = 0.2, gamma = 8, against simulation", check_robust_risk),
    gamma_bound = erratum(
      "section 5.1", "gamma >= 2 z + sqrt(4 + m^2)/sigma (36 and more; gamma = 8 is then used)",
      "for a robust Bayes rule gamma <= sqrt(4 + m^2)/(2 sigma) - z; the printed bound is for the collapse at the end of the section",
      "gamma at which the Bayes rule's robust risk reaches 0.0015, z = z_0.001", check_gamma_bound),
    figure_4_caption = erratum(
      "caption of figure 4", "Example 1; R_rob(f^B) = 0.998 in (b)", "Three Clusters; 0.998 is R_rob(sign x1)",
      "robust risk of the Bayes rule, against simulation", check_figure_4_caption),
    best_linear = erratum(
      "section 5.1", "sign(x1) is the unique minimiser of R_std among linear classifiers",
      "only for p = 1/2; otherwise the best line tilts",
      "smallest standard risk at p = 0.95, sigma = 0.5, against simulation", check_best_linear),
    bound_of_gain = erratum(
      "section 5.1", "ignoring the bottom cluster gains robustness of at most p/2", "at most (1 + p)/2: class -1 becomes more robust too",
      "decrease of the robust risk at p = 0.95, against simulation", check_bound_of_gain),
    cost_of_robustness = erratum(
      "section 5.1", "robust models lose 1 - p of standard accuracy", "(1 - p)/2, as stated earlier in the section",
      "standard risk of the most robust line at p = 0.55, against simulation", check_cost_of_robustness)
  )
}

errata_of_examples <- function() {
  list(
    strip_of_robust = erratum(
      "appendix B.2, item 3", "standard risk on B(X~, eps) has the factor min(2 eps, 0.5)/0.5", "min(eps, 0.5)/0.5",
      "eps = 1/24, p = 0.7, against simulation", check_strip_of_robust),
    cancelled_gain = erratum(
      "Example 2", "the gain on B(X~, eps) is cancelled out by the error on A_eps",
      "the error on A_eps cancels less than a tenth of the gain",
      "gain of the robust optimum over the natural one, eps = 1/24, p = 0.7", check_cancelled_gain),
    norm_of_example = erratum(
      "Example 2", "3/4 - 9 (4 eps^2 + 2 eps/3) for any lp ball", "holds for l-infinity; in l2 with pi in place of 4",
      "Euclidean balls of eps = 1/24, against simulation", check_norm_of_example)
  )
}

errata_of_tables <- function() {
  list(
    sign_of_c = erratum(
      "sections 5.3.2, 5.3.3", "robust accuracy is negatively correlated with c",
      "in Table 5 it is positively correlated: 44.70 % at c = 0.1, 49.40 % at c = 0.7",
      "sign of Kendall's correlation of PGD100 with c in Table 5", check_sign_of_c),
    half_of_robustness = erratum(
      "section 5.3.3", "all ResNets have more than half of the robustness of TRADES and MART",
      "all but ResNet-20: 26.50 % is less than half of 55.40 % and of 55.81 %",
      "number of the four networks of Table 6 with more than half of MART's", check_half_of_robustness),
    ratio_of_sizes = erratum(
      "section 5.3.3", "ResNet-20 has 179 times fewer parameters than WideResNet-34-10",
      "171 times: the authors' code counts a group of layers that is created twice and used once",
      "parameters of both networks, counted layer by layer", check_ratio_of_sizes),
    widening_factor = erratum(
      "section 5.3.1", "ResNet-34-10 is a 34-layer ResNet for 10-class classification",
      "a wide ResNet: 10 is the factor by which it is wider",
      "its parameters, from the ratio in section 5.3.3 to ResNet-20", check_widening_factor),
    gain_by_attack = erratum(
      "Table 3", "MMA-12 has 88.59 % natural accuracy, and 89.60 % under DeepFool",
      "at most the natural accuracy: no attack makes an image correct",
      "gain in accuracy by DeepFool, in percentage points; reference: a linear classifier", check_gain_by_attack)
  )
}
