#' Risk of a linear classifier in closed form
#'
#' For cluster k with mean mu_k the margin y (w.x + b) is normal with standard
#' deviation sigma |w|_2, and an adversary of size `eps` lowers it by eps times the
#' dual norm of w. So the risk is the mixture over clusters of
#' Phi((eps |w|_dual - y (w.mu_k + b)) / (sigma |w|_2)).
#'
#' @param classifier A [linear_classifier()] or a [fit_linear_at()].
#' @inheritParams three_clusters
#' @param eps Size of the perturbation, at least 0, in the units of the data; 0 gives the
#'   standard risk. In the paper it is gamma * sigma.
#' @param norm Norm of the perturbation: 2 or `Inf`.
#' @return The risk, one number in \[0, 1\].
#' @source Equation (2) for this law. For sign(x1) it is Phi(eps / sigma - 1 / sigma). The
#'   paper prints 1 / sigma^2, see [paper_errata()].
#' @examples
#' linear_risk(vertical_line(), p = 0.55, m = 7, sigma = 0.2, eps = 1.6)
#' @family functions of the Three Clusters
#' @export
linear_risk <- function(classifier, p = 0.55, m = 7, sigma = 0.2, eps = 0, norm = 2) {
  check_class(classifier, "linear_classifier", "linear_classifier")
  law <- check_law(p, m, sigma)
  eps <- check_number(eps, min = 0)
  norm <- check_norm(norm)
  linear_risk_value(classifier, law, eps, norm)
}

linear_risk_value <- function(f, law, eps, norm) {
  if (all(f$w == 0)) return(0.5)
  margin <- c(1, 1, -1) * linear_score(f, cluster_centres(law$m))
  shift <- eps * dual_norm(f$w, norm)
  risk <- stats::pnorm((shift - margin) / (law$sigma * sqrt(sum(f$w^2))))
  sum(c(law$p / 2, (1 - law$p) / 2, 1 / 2) * risk)
}

#' Risk of any classifier by simulation
#'
#' Draws from the Three Clusters and counts errors: without an adversary
#' (`"standard"`), under the worst perturbation of size `eps` (`"robust"`), and under the
#' worst perturbation within the region where the Bayes rule is correct
#' (`"sensible"`, Definition 2). The three risks use one sample.
#'
#' The robust and sensible counts are exact for linear classifiers and for the Bayes
#' rule. For a classifier given as a function they come from a search of the ball, with 1024
#' labels per point, which may miss errors. The column `bound` is then `"lower bound"`.
#'
#' @param classifier A [linear_classifier()], a [fit_linear_at()], a [bayes_rule()], a function from an n
#'   x 2 matrix to labels -1 and 1, or a [sense_fit] of the networks `"linear"` or `"mlp"` that was trained
#'   on the formula `y ~ x1 + x2`. Its predictions are computed in R.
#' @inheritParams linear_risk
#' @param kind Which risks: any of `"standard"`, `"robust"`, `"sensible"`.
#' @param n Number of draws.
#' @param level Confidence level of the Wilson interval, which covers sampling error only.
#' @param seed As in [three_clusters()].
#' @return A data frame with a row for each `kind`: `kind`, `estimate`, `lower`, `upper`,
#'   `errors`, `n` and `bound` (`"exact"` or `"lower bound"`).
#' @source Equations (2) and (6).
#' @examples
#' simulate_risk(bayes_rule(), eps = 1.6, n = 2000, seed = 1)
#' @family functions of the Three Clusters
#' @export
simulate_risk <- function(classifier, p = 0.55, m = 7, sigma = 0.2, eps = 0, norm = 2,
                             kind = c("standard", "robust", "sensible"), n = 1e5,
                             level = 0.95, seed = NULL) {
  law <- check_law(p, m, sigma)
  eps <- check_number(eps, min = 0)
  norm <- check_norm(norm)
  if (inherits(classifier, "sense_fit")) classifier <- plane_classifier(classifier)
  check_classifier(classifier)
  check_level(level)
  if (!is.character(kind) || !all(kind %in% c("standard", "robust", "sensible")) || length(kind) == 0) {
    refuse(kind, "kind", "any of \"standard\", \"robust\" and \"sensible\"")
  }
  sample <- three_clusters(n, p, m, sigma, seed)
  x <- as_points(sample)
  errors <- vapply(kind, function(k) sum(is_error(classifier, x, sample$y, k, law, eps, norm)), 0L)
  exact <- kind == "standard" | eps == 0 | inherits(classifier, "linear_classifier") |
    (inherits(classifier, "bayes_rule") & kind == "robust") | is_bayes_rule_of(classifier, law)
  cbind(data.frame(kind = kind), interval_of(unname(errors), nrow(x), level),
        data.frame(errors = unname(errors), n = nrow(x),
                   bound = ifelse(exact, "exact", "lower bound")))
}

interval_of <- function(k, n, level) {
  wilson_interval(k, n, level)[c("estimate", "lower", "upper")]
}

is_error <- function(classifier, x, y, kind, law, eps, norm) {
  wrong <- label_points(classifier, x) != y
  if (kind == "standard" || eps == 0) return(wrong)
  open <- if (kind == "robust") which(!wrong) else {
    which(!wrong & predict.bayes_rule(law, x) == y)
  }
  if (length(open) == 0) return(wrong)
  x <- x[open, , drop = FALSE]
  wrong[open] <- if (kind == "sensible") {
    sensible_error(classifier, x, y[open], law, eps, norm)
  } else if (is.function(classifier)) {
    error_by_search(classifier, x, y[open], NULL, eps, norm)
  } else {
    boundary_distance(classifier, x, norm) <= eps
  }
  wrong
}
